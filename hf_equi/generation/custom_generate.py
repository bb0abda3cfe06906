"""The entry point of a `custom_generate` repository: the search of EquizeroLM, with the arguments of `generate`."""

from __future__ import annotations

import copy
import inspect
from typing import Any

from transformers import GenerationMixin, PreTrainedModel, StoppingCriteriaList
from transformers.generation import StopStringCriteria

from hf_equi.errors import ConfigurationError
from hf_equi.generation.equizero_search import EquizeroSearch
from hf_equi.generation.scorers import DEFAULT_REGARD, RegardScorer, Scorer
from hf_equi.generation.settings_table import SEARCH, check_settings, value_reader
from hf_equi.groups import DemographicGroup

__all__ = ["generate"]


def generate(  # noqa: PLR0913  the arguments of a call of `generate`
    model: PreTrainedModel,
    *,
    group: DemographicGroup | str | None = None,
    tokenizer: Any = None,
    scorer: Scorer | str = DEFAULT_REGARD,
    beam_length: int = 5,
    action: str = "tokens",
    multi_token: str = "auto",
    seed: int | None = None,
    streamer: Any = None,
    **kwargs: Any,
) -> Any:
    """Complete prompts with the search of EquizeroLM.

    Args:
        model: Any causal language model. It is not changed.
        group: The group, or the name of a preset.
        tokenizer: The model's tokenizer.
        scorer: The loss of texts, or the name of a regard classifier.
        beam_length: The number of tokens in a draft.
        action: `"tokens"` or `"words"`.
        multi_token: As in `EquizeroSearch`.
        seed: Couples sampling.
        streamer: Receives the tokens of each round.
        **kwargs: All other arguments of `generate`. Stop strings are read from here, from `generation_config` or from
            the model's own config, and need no other tokenizer.

    Returns:
        The same as `EquizeroSearch`.

    Raises:
        ConfigurationError: Without a group or a tokenizer, and as in `EquizeroSearch`.
    """
    if group is None or tokenizer is None:
        raise ConfigurationError(
            "The search of EquizeroLM needs a group and the model's tokenizer: generate(..., group=DemographicGroup("
            '[["man", "woman"]]), tokenizer=tokenizer)'
        )
    if isinstance(group, str):
        group = DemographicGroup.preset(group)
    if isinstance(scorer, str):
        scorer = RegardScorer(scorer)
    search = EquizeroSearch(group, tokenizer, scorer, beam_length, action, multi_token=multi_token, streamer=streamer)
    # generate() passes on its own arguments even if the caller did not give them.
    own = inspect.signature(GenerationMixin.generate).parameters
    given = {name: value for name, value in kwargs.items() if value is not None or name not in own}
    # Checked before generate() sees them: with a paged cache it would never call the search.
    check_settings(value_reader(model.generation_config, given.get("generation_config"), given), (SEARCH,))
    given |= _stopping(model, tokenizer, given)
    return model.generate(custom_generate=search, seed=seed, streamer=streamer, **given)  # type: ignore[operator]


def _stopping(model: PreTrainedModel, tokenizer: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return stop strings as criteria: `generate` passes no tokenizer for them to a callable decoding method."""
    config, own = given.get("generation_config"), model.generation_config
    asked = (given.get("stop_strings"), getattr(config, "stop_strings", None), getattr(own, "stop_strings", None))
    strings = next((strings for strings in asked if strings), None)
    if not strings:
        return {}
    criteria = StoppingCriteriaList([*(given.get("stopping_criteria") or []), StopStringCriteria(tokenizer, strings)])
    changed: dict[str, Any] = {"stopping_criteria": criteria, "stop_strings": None}
    if config is not None:
        changed["generation_config"] = copy.deepcopy(config)
        changed["generation_config"].stop_strings = None
    return changed
