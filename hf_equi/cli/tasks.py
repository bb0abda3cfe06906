"""Which models a command reads."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedConfig

from hf_equi.auto import find_tasks
from hf_equi.errors import UnsupportedModelError
from hf_equi.groups import DemographicGroup

__all__ = ["check_task"]


@dataclass(frozen=True)
class _Purpose:
    """What a command does, and the tasks of the models that it does it with."""

    what: str
    tasks: tuple[str, ...]


_PURPOSES = {
    "generate": _Purpose("completes prompts with causal language models", ("causal_lm",)),
    "audit": _Purpose("audits causal language models", ("causal_lm",)),
    "demo": _Purpose("shows causal language models before and after", ("causal_lm",)),
    "inspect": _Purpose("shows which tokens of a language model a group moves", ("causal_lm", "seq2seq")),
}

_FOR_WORDS = (
    "hf-equi inspect shows which of its tokens move, hf-equi convert makes it equivariant, and generate() in Python "
    "decodes with it."
)
_FOR_IMAGES = "hf-equi convert makes it equivariant, and hf-equi publish measures how exactly."


def check_task(command: str, model: str, config: PreTrainedConfig) -> None:
    """Refuse a model that a command cannot read, and say which commands can.

    Args:
        command: The command's name.
        model: The model, as it stands on the command line.
        config: Its config.

    Raises:
        UnsupportedModelError: For such a model. One that serves no task at all passes.
    """
    purpose, found = _PURPOSES[command], find_tasks(config)
    if not found or {task.name for task in found} & {*purpose.tasks}:
        return
    task = found[0]
    words = issubclass(task.group_class, DemographicGroup)
    raise UnsupportedModelError(
        f"hf-equi {command} {purpose.what}, and {model} is a {task.what}. {_FOR_WORDS if words else _FOR_IMAGES}"
    )
