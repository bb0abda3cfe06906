"""What text tasks have in common: groups of words act on them, and a tokenizer prepares their inputs."""

from __future__ import annotations

from typing import Any, ClassVar

from hf_equi.bases.tokenizers import read_tokenizer
from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup, FiniteGroup
from hf_equi.models.task import Task
from hf_equi.models.text.fingerprint import require_tokenizer

__all__ = ["TextTask"]


class TextTask(Task):
    """A kind of language model that `symmetrize` wraps."""

    group_class: ClassVar[type[FiniteGroup]] = DemographicGroup
    group_example = 'hf_equi.DemographicGroup([["man", "woman"]]) or DemographicGroup.preset("gender")'

    def prepare(self, name: str | None, given: dict[str, Any], hub: dict[str, Any]) -> Any:
        """Return the tokenizer.

        Raises:
            ConfigurationError: For an object without a tokenizer, or a tokenizer that is not one of transformers.
        """
        tokenizer = given.get("tokenizer")
        if tokenizer is None and name is None:
            raise ConfigurationError(
                "A model passed as an object needs its tokenizer: symmetrize(model, group, tokenizer=...)"
            )
        if tokenizer is None:
            tokenizer = read_tokenizer(name, **hub)
        for each in (tokenizer, given.get("target_tokenizer", tokenizer)):
            require_tokenizer(each)
        return tokenizer
