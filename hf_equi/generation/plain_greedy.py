"""Calls of `generate` that ask for the best token of each step, and for nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import GenerationConfig

from hf_equi.bases.end_tokens import end_tokens

__all__ = ["PlainGreedy"]

# What decides where a text starts and ends. `PlainGreedy` reads these.
_READ = {"max_length", "max_new_tokens", "eos_token_id", "pad_token_id", "decoder_start_token_id"}
# What a plain call may say in any way.
_NEUTRAL = {"bos_token_id", "disable_compile", "transformers_version"}
_TEXTS = {"attention_mask", "group"}
# Their other values change what is written, or what comes back.
_PLAIN: dict[str, Any] = {"num_beams": 1, "num_return_sequences": 1, "use_cache": True}


@dataclass(frozen=True)
class PlainGreedy:
    """Greedy decoding without processors or criteria of its own, which takes no more than a loop.

    Args:
        start: The token before the first.
        new_tokens: Tokens to write at most.
        pad: What stands behind an end.
        ends: The tokens that end a text.
    """

    start: int
    new_tokens: int
    pad: int
    ends: tuple[int, ...]

    @classmethod
    def read(cls, own: GenerationConfig, given: GenerationConfig | None, kwargs: dict[str, Any]) -> PlainGreedy | None:
        """From the arguments of a call with an encoder; `None` where `generate` has to look at them.

        A setting that this class does not know is left to `generate`, and so is one that is missing or wrong.
        """
        settings: dict[str, Any] = {}
        for config in (own, given):
            if config is not None:
                settings |= {name: value for name, value in vars(config).items() if value is not None}
        settings |= {name: value for name, value in kwargs.items() if value is not None}
        if not all(_is_plain(name, value) for name, value in settings.items()):
            return None
        start, pad = settings.get("decoder_start_token_id"), settings.get("pad_token_id")
        lengths = [
            settings[name] - before for name, before in (("max_length", 1), ("max_new_tokens", 0)) if name in settings
        ]
        if type(start) is not int or type(pad) is not int or len(lengths) != 1 or lengths[0] < 1:
            return None
        return cls(start, lengths[0], pad, end_tokens(settings.get("eos_token_id")))


def _is_plain(name: str, value: Any) -> bool:
    if name.startswith("_") or name in _READ or name in _NEUTRAL or name in _TEXTS:  # what a config notes of itself
        return True
    if name in _PLAIN:
        return bool(value == _PLAIN[name])
    return value is False  # what can be switched on, and is not
