"""How `hf-equi generate` loads the models of each task and compares their texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from hf_equi.auto import find_tasks, symmetrize
from hf_equi.cli.loading import DEFAULT_GROUP, load_lm, load_tokenizer, loading, locate, move, only_trained
from hf_equi.cli.methods import How, check_trained, is_kept
from hf_equi.cli.options import Loading, Origin
from hf_equi.cli.placement import from_hub, read_placement
from hf_equi.cli.tasks import check_task
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.chat import Conversation
from hf_equi.fairness.completions import Comparison, Report, compare, work
from hf_equi.fairness.decoding import Decoding
from hf_equi.fairness.pair_completions import compare_pairs, pair_work
from hf_equi.fairness.work import Work
from hf_equi.groups import DemographicGroup
from hf_equi.models.seq2seq import EquiForSeq2SeqLM, EquiSeq2SeqConfig

__all__ = ["Completer", "find_completer"]

Check = Callable[[PreTrainedConfig, str], None]


@dataclass(frozen=True)
class Completer:
    """The functions that complete prompts with the models of a task.

    Args:
        task: The task.
        load: Loads the symmetrised model, from its name, the group, the method, the scorer, a check of its config and
            method that runs before any weights are loaded, and the options of loading.
        work: Returns how much `compare` has to draw.
        compare: Returns the completions of the base and of the symmetrised model.
        source: Returns the group on the tokens of prompts.
    """

    task: str
    load: Callable[[str, DemographicGroup | None, How, str | None, Check, Loading], Any]
    work: Callable[[Any, Sequence[str | Conversation], Decoding], Work]
    compare: Callable[[Any, Sequence[str | Conversation], Decoding, Report], Comparison]
    source: Callable[[Any], Any]


def find_completer(model: str, origin: Origin) -> Completer:
    """Return the completer of a model, by the task that it serves.

    Args:
        model: As on the command line.
        origin: Which version of it to use.

    Raises:
        ConfigurationError: If there is no such model.
        UnsupportedModelError: For a model that does not complete prompts.
    """
    name = locate(model)
    with loading(model):
        config = AutoConfig.from_pretrained(name, **from_hub(model, origin))
    check_task("generate", model, config)
    names = [task.name for task in find_tasks(config)]
    found = [completer for completer in _COMPLETERS if completer.task in names]
    return (found or _COMPLETERS)[0]


def _load_causal(
    model: str, group: DemographicGroup | None, how: How, scorer: str | None, check: Check, options: Loading
) -> Any:
    return load_lm(model, group, how, scorer=scorer, check=check, options=options)


def _load_pair(
    model: str, group: DemographicGroup | None, how: How, scorer: str | None, check: Check, options: Loading
) -> EquiForSeq2SeqLM:
    """Load a sequence-to-sequence model; make a saved one anew if another group, method or average is wanted."""
    if scorer is not None:
        raise ConfigurationError("--scorer has no effect on a sequence-to-sequence model: leave it out.")
    if how.multi_token == "compose":
        raise ConfigurationError(
            "--multi-token compose is for causal language models, which read and write one text: leave it out."
        )
    name, (method, average, _), hub = locate(model), how, from_hub(model, options)
    device, placed = read_placement(options)
    with loading(model), only_trained():
        config = AutoConfig.from_pretrained(name, **hub)
        saved = isinstance(config, EquiSeq2SeqConfig)
        method = method or (config.method if saved else "equitune")
        check(config, method)
        kept = saved and is_kept(config, group, how)
        check_trained("seq2seq", method, kept)
        settings: dict[str, Any] = {"average": average, "multi_token": "skip"}
        if not saved:
            chosen = group or DemographicGroup.preset(DEFAULT_GROUP)
            settings |= {"tokenizer": load_tokenizer(model, name, hub), **hub, **placed}
            made: EquiForSeq2SeqLM = symmetrize(name, chosen, method, task="seq2seq", **settings)
        else:
            made = EquiForSeq2SeqLM.from_pretrained(name, **hub, **placed)
            if not kept:
                settings |= {"tokenizer": made.tokenizer, "target_tokenizer": made.target_tokenizer}
                made = symmetrize(made.unwrap(), group or made.group, method, **settings)
        move(made, device)
    return made


_COMPLETERS = (
    Completer("causal_lm", _load_causal, work, compare, lambda lm: lm.action),
    Completer("seq2seq", _load_pair, pair_work, compare_pairs, lambda model: model.action.source),
)
"""The completers in order of priority: if a model serves several tasks, the first applies."""
