"""Recognise calls of `generate` that ask only for the best token of each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import GenerationConfig

from hf_equi.bases.end_tokens import end_tokens
from hf_equi.generation.settings_table import SETTINGS, settings_of

__all__ = ["STRATEGY_ALONE", "PlainGreedy"]

# Settings that decide where a text starts and ends. `PlainGreedy` reads these.
_READ = {"max_length", "max_new_tokens", "eos_token_id", "pad_token_id", "decoder_start_token_id"}
# Settings that may have any value in a plain call.
_NEUTRAL = {"bos_token_id", "disable_compile", "transformers_version"}
_TEXTS = {"attention_mask", "group"}
STRATEGY_ALONE: dict[str, Any] = {
    **{"temperature": 1.0, "top_k": 50, "top_p": 1.0, "top_h": None, "min_p": None, "typical_p": 1.0},
    **{"epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "early_stopping": False, "length_penalty": 1.0},
}
"""Settings of sampling and beam search that greedy decoding does not read, with the values that ask for nothing.

If a call sets another value, transformers warns that it is ignored. For a value in the model's own config it does not
warn.
"""
# Settings that only assistants read.
_ASSISTED = {
    *("num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold"),
    *("assistant_lookbehind", "target_lookbehind"),
}
# Other values change the text or the output. Configs that were saved after training store all of these.
_PLAIN: dict[str, Any] = {
    **dict.fromkeys(("num_beams", "num_return_sequences", "num_beam_groups"), 1),
    **dict.fromkeys(("repetition_penalty", "encoder_repetition_penalty"), 1.0),
    **dict.fromkeys(("min_length", "min_new_tokens", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size"), 0),
    **{"diversity_penalty": 0.0, "use_cache": True},
}
_ANY = _READ | _NEUTRAL | _TEXTS | _ASSISTED | STRATEGY_ALONE.keys()
_STOPPING = (None, False, True, "never")
_KNOWN = SETTINGS.keys() | _TEXTS


@dataclass(frozen=True)
class PlainGreedy:
    """Greedy decoding without extra processors or criteria, which a simple loop can do.

    Args:
        start: The token before the first one.
        new_tokens: The most tokens to write.
        pad: The token after an end.
        ends: The tokens that end a text.
    """

    start: int
    new_tokens: int
    pad: int
    ends: tuple[int, ...]

    @classmethod
    def read(
        cls, own: GenerationConfig, given: GenerationConfig | None, kwargs: dict[str, Any], vocab_size: int
    ) -> PlainGreedy | None:
        """Read the arguments of a call with an encoder; return `None` if `generate` has to handle it.

        `generate` handles every setting that this class does not know, and every setting that is missing, wrong or
        without effect, such as a token that the target's vocabulary does not have.
        """
        settings = settings_of(own, given, kwargs)
        if settings.get("early_stopping") not in _STOPPING or _asks_in_vain(given, kwargs):
            return None
        if not all(_is_plain(name, value) for name, value in settings.items()) or not kwargs.keys() <= _KNOWN:
            return None
        settings = {name: value for name, value in settings.items() if value is not None}
        start, pad = settings.get("decoder_start_token_id"), settings.get("pad_token_id")
        length, ends = _new_tokens(given, kwargs, settings), end_tokens(settings.get("eos_token_id"))
        if length is None or length < 1:
            return None
        if type(start) is not int or type(pad) is not int:
            return None
        if not all(0 <= token < vocab_size for token in (start, pad, *ends)):
            return None
        return cls(start, length, pad, ends)


def _new_tokens(given: GenerationConfig | None, kwargs: dict[str, Any], settings: dict[str, Any]) -> int | None:
    """Return how many tokens to write; `None` if a call gives both lengths, as transformers decides which counts."""
    new, whole = settings.get("max_new_tokens"), settings.get("max_length")
    if new is None:
        return whole - 1 if type(whole) is int else None
    named = kwargs.get("max_length") is not None or getattr(given, "max_length", None) is not None
    return new if type(new) is int and not named else None


def _asks_in_vain(given: GenerationConfig | None, kwargs: dict[str, Any]) -> bool:
    """Return whether the call itself sets what greedy decoding ignores, which `generate` warns about."""
    asked = kwargs if given is None else {**vars(given), **kwargs}
    return any(asked.get(name) not in (None, neutral) for name, neutral in STRATEGY_ALONE.items())


def _is_plain(name: str, value: Any) -> bool:
    if name in _PLAIN:
        return type(value) in {bool, int, float} and bool(value == _PLAIN[name])
    if value is None or value is False:  # a switch that is off
        return True
    return name in _ANY or name.startswith("_")  # a private entry of a config
