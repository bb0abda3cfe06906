"""What `hf-equi generate` does with models of each task: how they are loaded, and what compares their texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedConfig

from hf_equi.auto import find_tasks, symmetrize
from hf_equi.cli.loading import DEFAULT_GROUP, load_lm, load_tokenizer, loading, locate, parse_group
from hf_equi.cli.tasks import check_task
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.completions import Comparison, compare, steps
from hf_equi.fairness.decoding import Decoding
from hf_equi.fairness.pair_completions import compare_pairs, pair_steps
from hf_equi.groups import DemographicGroup
from hf_equi.models.seq2seq import EquiForSeq2SeqLM, EquiSeq2SeqConfig

__all__ = ["Completer", "find_completer"]

Check = Callable[[PreTrainedConfig, str], None]
How = tuple[str | None, str | None]
"""A method, and what it averages."""


@dataclass(frozen=True)
class Completer:
    """What completes prompts with models of a task.

    Args:
        task: The task.
        load: The symmetrised model, from its name, the group, the method, the scorer, and a check of its config and
            method that runs before any weights are loaded.
        steps: How many tokens `compare` reports at most.
        compare: The completions of base and symmetrised model.
        source: The group on the tokens of prompts.
    """

    task: str
    load: Callable[[str, DemographicGroup | None, How, str | None, Check], Any]
    steps: Callable[[Any, Sequence[str], Decoding], int]
    compare: Callable[[Any, Sequence[str], Decoding, Callable[[], None]], Comparison]
    source: Callable[[Any], Any]


def find_completer(model: str) -> Completer:
    """What completes prompts with a model, by the task that it serves.

    Args:
        model: As on the command line.

    Raises:
        ConfigurationError: If there is no such model.
        UnsupportedModelError: For a model that completes no prompts.
    """
    name = locate(model)
    with loading(model):
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    check_task("generate", model, config)
    names = [task.name for task in find_tasks(config)]
    found = [completer for completer in _COMPLETERS if completer.task in names]
    return (found or _COMPLETERS)[0]


def _load_causal(model: str, group: DemographicGroup | None, how: How, scorer: str | None, check: Check) -> Any:
    return load_lm(model, group, *how, scorer=scorer, check=check)


def _load_pair(
    model: str, group: DemographicGroup | None, how: How, scorer: str | None, check: Check
) -> EquiForSeq2SeqLM:
    """A sequence-to-sequence model; a saved one is made anew where another group, method or average is wanted."""
    if scorer is not None:
        raise ConfigurationError("--scorer has no effect on a sequence-to-sequence model: leave it out.")
    name, (method, average) = locate(model), how
    with loading(model):
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        saved = isinstance(config, EquiSeq2SeqConfig)
        method = method or (config.method if saved else "equitune")
        check(config, method)
        settings: dict[str, Any] = {"average": average, "multi_token": "skip"}
        if not saved:
            tokenizer, chosen = load_tokenizer(model, name), group or parse_group(DEFAULT_GROUP)
            made: EquiForSeq2SeqLM = symmetrize(
                name, chosen, method, task="seq2seq", tokenizer=tokenizer, dtype=torch.float32, **settings
            )
            return made
        own: EquiForSeq2SeqLM = EquiForSeq2SeqLM.from_pretrained(name, dtype=torch.float32)
        if group is None and how == (None, None):
            return own
        settings |= {"tokenizer": own.tokenizer, "target_tokenizer": own.target_tokenizer}
        changed: EquiForSeq2SeqLM = symmetrize(own.unwrap(), group or own.group, method, **settings)
        return changed


_COMPLETERS = (
    Completer("causal_lm", _load_causal, steps, compare, lambda lm: lm.action),
    Completer("seq2seq", _load_pair, pair_steps, compare_pairs, lambda model: model.action.source),
)
"""Of several tasks that a model may serve, the first here is taken."""
