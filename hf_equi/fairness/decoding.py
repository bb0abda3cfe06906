"""The decoding of texts for comparison: options of the command line, checked and passed on to `generate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hf_equi.bases.memory import decoding_bytes, free_bytes
from hf_equi.bases.offloading import input_device
from hf_equi.checks import check_count
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.work import rows_of_a_text
from hf_equi.models.causal_lm import EquiLM

__all__ = ["Decoding", "check_memory"]

TOP_K = 40
"""The setting of the published experiments (Sheng et al. 2019; Basu et al. 2023)."""
_COLDEST = 1e-6  # below it, scores leave the range of float32
_TEXT_BYTES = 4096  # memory of a text that is kept until the end, with its tokens and figures


@dataclass(frozen=True)
class Decoding:
    """The options of decoding.

    Args:
        samples: The number of completions of each prompt.
        max_new_tokens: The most tokens of each completion.
        temperature: The temperature of sampling; `None` for 1.
        top_k: The top-k of sampling; `None` for 40, 0 for all tokens.
        top_p: The top-p of sampling; `None` for 1.
        greedy: Whether to take the most probable token.
        beams: The width of a beam search, or `None`.
        seed: The seed of sampling.
        batch_size: The number of texts to decode at once, never fewer than all texts of one prompt.

    Raises:
        ConfigurationError: For values out of range, and for options that contradict each other.

    Example:
        >>> Decoding(samples=2).settings()["num_return_sequences"]
        2
    """

    samples: int = 1
    max_new_tokens: int = 20
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    greedy: bool = False
    beams: int | None = None
    seed: int = 0
    batch_size: int = 64

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size, "number of texts")
        if self.temperature is not None and not _COLDEST <= self.temperature < float("inf"):
            raise ConfigurationError(
                f"--temperature must be a number from {_COLDEST} up, not {self.temperature}. Did you mean --greedy?"
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigurationError(f"--top-p is a probability above 0 and at most 1, not {self.top_p}.")
        if self.greedy and self.beams:
            raise ConfigurationError("--greedy and --beams cannot be used together: choose one.")
        if self.samples > (self.beams or 1) and not self.sampled:
            raise ConfigurationError(
                f"-n {self.samples} is more than the {self.beams or 1} that {self.name} gives: lower it, or sample."
            )
        given = [f"--{name.replace('_', '-')}" for name in ("temperature", "top_k", "top_p") if getattr(self, name)]
        if given and not self.sampled:
            raise ConfigurationError(f"{' and '.join(given)} would have no effect with {self.name}: choose one.")

    @property
    def sampled(self) -> bool:
        """Whether tokens are drawn."""
        return not self.greedy and self.beams is None

    @property
    def name(self) -> str:
        """The option that chooses the way of decoding."""
        return "--greedy" if self.greedy else f"--beams {self.beams}" if self.beams else "sampling"

    @property
    def widest(self) -> tuple[str, int]:
        """The option that sets how many texts of a prompt are decoded at once, and that number."""
        return ("--beams", self.beams) if self.beams else ("-n", self.samples)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of `generate`, except the seed."""
        sampling = {
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "top_k": TOP_K if self.top_k is None else self.top_k,
            "top_p": 1.0 if self.top_p is None else self.top_p,
        }
        return {
            "max_new_tokens": self.max_new_tokens,
            "num_return_sequences": self.samples,
            "do_sample": self.sampled,
            "num_beams": self.beams or 1,
            **(sampling if self.sampled else {}),
        }


def check_memory(lm: EquiLM, option: str, count: int, tokens: int, kept: int) -> None:
    """Refuse more texts than fit into memory. All texts of one prompt are decoded at once.

    Args:
        lm: The model that decodes.
        option: The option that asks for the texts.
        count: How many texts it asks for.
        tokens: The length of a text with its prompt.
        kept: For each one of `count`, how many texts of all prompts and models are kept until the end.

    Raises:
        ConfigurationError: If the estimated memory exceeds the free memory.
    """
    each = decoding_bytes(lm.base, tokens) * rows_of_a_text(lm) + kept * _TEXT_BYTES
    free = free_bytes(input_device(lm.base))
    if free is not None and count * each > free:
        raise ConfigurationError(
            f"{option} {count} takes about {count * each / 2**30:,.0f} GiB of memory with texts of {tokens} tokens, "
            f"but {free / 2**30:,.1f} GiB are free. Ask for at most {free // each:,}. For more, run again with other "
            "seeds."
        )
