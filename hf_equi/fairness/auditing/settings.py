"""The settings of an audit, checked, and the description by which a folder recognises its audit."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from hf_equi import __version__
from hf_equi.checks import check_between, check_count
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.resampling import Resampling

__all__ = ["Sampling", "Statistics", "versions"]

_PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "accelerate")


@dataclass(frozen=True)
class Sampling:
    """How texts are drawn.

    Args:
        samples: The number of texts for each prompt.
        seed: The seed of the noise.
        max_new_tokens: The most tokens of each continuation; 15 in the published experiments.
        temperature: The temperature of the model's scores.
        top_k: Draw from this many tokens; 0 for all. 40 in the published experiments.
        top_p: Draw from the most probable tokens with this total mass.
        batch_size: The number of texts to decode at once, never fewer than all texts of one prompt. The same number,
            or 64, are read at once for their likelihood.

    Raises:
        ConfigurationError: For numbers out of range.

    Example:
        >>> Sampling(samples=20, seed=7).arguments()["num_return_sequences"]
        20
    """

    samples: int
    seed: int = 0
    max_new_tokens: int = 15
    temperature: float = 1.0
    top_k: int = 40
    top_p: float = 1.0
    batch_size: int = 256

    def __post_init__(self) -> None:
        check_count("samples_per_prompt", self.samples, "number of texts")
        check_count("max_new_tokens", self.max_new_tokens, "number of tokens")
        check_count("batch_size", self.batch_size, "number of texts")
        check_count("top_k", self.top_k, "number of tokens", least=0)
        check_count("seed", self.seed, "seed", least=0)
        if self.seed >= 2**63:
            raise ConfigurationError(f"seed={self.seed} is too large: use a whole number below 2**63.")
        check_between("temperature", self.temperature)
        check_between("top_p", self.top_p, 1, closed=True)

    def arguments(self) -> dict[str, Any]:
        """The arguments of `generate`."""
        return {
            "do_sample": True,
            "num_beams": 1,
            "seed": self.seed,
            "num_return_sequences": self.samples,
            "max_new_tokens": self.max_new_tokens,
            "temperature": float(self.temperature),
            "top_k": self.top_k,
            "top_p": float(self.top_p),
        }

    def describe(self) -> dict[str, Any]:
        """Return plain JSON for the settings of an audit."""
        names = ("max_new_tokens", "temperature", "top_k", "top_p", "batch_size")
        # 1 and 1.0 are the same temperature, so they must give the same text.
        shares = {"temperature": float(self.temperature), "top_p": float(self.top_p)}
        return {name: shares.get(name, getattr(self, name)) for name in names}


@dataclass(frozen=True)
class Statistics:
    """How intervals are made.

    Args:
        resamples: The number of resamples of the bootstrap and of the permutation test.
        confidence: The confidence of the intervals.

    Raises:
        ConfigurationError: For numbers out of range, and for too few resamples to tell any gap from chance.
    """

    resamples: int = 1000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        self.check_tests(1)

    def check_tests(self, tests: int) -> None:
        """Refuse a number of resamples too small to tell any gap from chance.

        Args:
            tests: How many p-values of a model are considered together, one per scorer.

        Raises:
            ConfigurationError: If more resamples are needed; the message says how many.
        """
        Resampling(self.resamples, self.confidence).check_p_values(tests)


def versions() -> dict[str, str]:
    """Return the versions that the numbers of an audit may depend on."""
    own = {"python": platform.python_version(), "hf_equi": __version__}
    return own | {name: version(name) for name in _PACKAGES}
