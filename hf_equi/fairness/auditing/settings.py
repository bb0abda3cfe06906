"""What an audit is asked for: its numbers, checked, and the description by which a folder knows its own audit."""

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
        samples: Texts for each prompt.
        seed: Of the noise.
        max_new_tokens: Tokens of each continuation at most; 15 in the published experiments.
        temperature: Of the model's scores.
        top_k: Tokens that are drawn from; 0 for all. 40 in the published experiments.
        top_p: The most probable tokens of this mass are drawn from.
        batch_size: Texts that are decoded at once, and at least all texts of one prompt; so many, or 64, are read at
            once for their likelihood.

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
        """For the settings of an audit."""
        names = ("max_new_tokens", "temperature", "top_k", "top_p", "batch_size")
        # 1 and 1.0 are one temperature, and have to be one text.
        shares = {"temperature": float(self.temperature), "top_p": float(self.top_p)}
        return {name: shares.get(name, getattr(self, name)) for name in names}


@dataclass(frozen=True)
class Statistics:
    """How intervals are made.

    Args:
        resamples: Resamples of the bootstrap and of the permutation test.
        confidence: Of the intervals.

    Raises:
        ConfigurationError: For numbers out of range, and for too few resamples to tell any gap from chance.
    """

    resamples: int = 1000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        self.check_tests(1)

    def check_tests(self, tests: int) -> None:
        """Refuse so few resamples that no gap can be told from chance.

        Args:
            tests: How many p-values of a model are weighed together, one a scorer.

        Raises:
            ConfigurationError: With the number that is needed.
        """
        Resampling(self.resamples, self.confidence).check_p_values(tests)


def versions() -> dict[str, str]:
    """The versions that the numbers of an audit may depend on."""
    own = {"python": platform.python_version(), "hf_equi": __version__}
    return own | {name: version(name) for name in _PACKAGES}
