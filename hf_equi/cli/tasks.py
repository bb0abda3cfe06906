"""The models that each command reads."""

from __future__ import annotations

from transformers import PreTrainedConfig

from hf_equi.auto import find_tasks
from hf_equi.errors import UnsupportedModelError

__all__ = ["check_task"]


_PURPOSES = {
    "generate": "completes prompts with language models",
    "audit": "audits causal language models",
    "audit --images": "audits image classifiers",
    "demo": "shows causal language models before and after",
    "inspect": "shows which tokens of a language model a group moves",
}

_FOR_PROMPTS = (
    "hf-equi generate completes prompts with it, hf-equi inspect shows which of its tokens move, and hf-equi convert "
    "makes it equivariant."
)
_FOR_WORDS = (
    "hf-equi inspect shows which of its tokens move, hf-equi convert makes it equivariant, and generate() in Python "
    "decodes with it."
)
_FOR_IMAGES = (
    "hf-equi audit --images DIR measures how it answers turned pictures, and hf-equi convert makes it equivariant."
)
_OTHERWISE = "hf-equi convert makes it equivariant, and hf-equi publish measures how exactly."


def check_task(command: str, model: str, config: PreTrainedConfig) -> None:
    """Refuse a model that a command cannot read, and say which commands can.

    Args:
        command: The command's name.
        model: The model, as on the command line.
        config: Its config.

    Raises:
        UnsupportedModelError: For such a model. A model that serves no task at all passes.
    """
    found = find_tasks(config)
    if not found or any(command in task.commands for task in found):
        return
    task = found[0]
    others = {"generate": _FOR_PROMPTS, "inspect": _FOR_WORDS, "audit --images": _FOR_IMAGES}
    otherwise = next((advice for other, advice in others.items() if other in task.commands), _OTHERWISE)
    raise UnsupportedModelError(f"hf-equi {command} {_PURPOSES[command]}, and {model} is a {task.what}. {otherwise}")
