"""The configuration of EquizeroLM."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from hf_equi.bases.compat import CACHE
from hf_equi.generation.search_checks import check_search
from hf_equi.models.causal_lm.configuration_equi_lm import EquiLMConfig

__all__ = ["EquizeroLMConfig"]


@strict
class EquizeroLMConfig(EquiLMConfig):
    r"""Configuration of `EquizeroLM`: that of an `EquiLM`, plus the settings of the search.

    Args:
        method (`str`, *optional*, defaults to `"equizero"`):
            Only `"equizero"`, which scores texts as equi-tuning does.
        beam_length (`int`, *optional*, defaults to 5):
            The number of tokens that each member drafts in a round.
        action (`str`, *optional*, defaults to `"tokens"`):
            What the search acts on: `"tokens"` or `"words"`.
        scorer_settings (`dict`, *optional*):
            The settings of a `RegardScorer` or a `LabelScorer`, as their `settings` give them. Other scorers are not
                stored, and neither is the place of a scorer in a local folder.

    Raises:
        ConfigurationError: As in `EquiLMConfig`, and for a beam length below 1 or another method.
        ActionError: As in `EquiLMConfig`.

    Example:
        >>> EquizeroLMConfig(beam_length=3).action
        'tokens'
    """

    model_type = "equizero_lm"
    keys_to_ignore_at_inference: ClassVar[list[str]] = [CACHE, "chosen_element"]

    method: str = "equizero"
    beam_length: int = 5
    scorer_settings: dict[str, Any] | None = None

    @property
    def search_settings(self) -> dict[str, Any]:
        """The number of tokens in a draft."""
        return {"beam_length": self.beam_length}

    @property
    def stored_scorer(self) -> dict[str, Any] | None:
        """What a checkpoint stores of the scorer: no folder of this machine, because nobody else has it."""
        settings = self.scorer_settings
        return None if settings is None or Path(settings["name"]).is_absolute() else settings

    def to_diff_dict(self) -> dict[str, Any]:
        """What is stored."""
        stored = super().to_diff_dict()
        if self.stored_scorer is None:
            stored.pop("scorer_settings", None)
        return stored

    def _check(self) -> None:
        check_search(None, self.beam_length, self.action)
        super()._check()
