"""EquizeroLM: a causal language model that decodes by searching the orbit for the lowest loss."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import PreTrainedModel

from hf_equi.bases.reading import reading
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.generation.classifiers import ClassifierScorer
from hf_equi.generation.equizero_search import EquizeroSearch
from hf_equi.generation.scorers import Scorer, stored_scorer
from hf_equi.generation.search_checks import check_search
from hf_equi.generation.settings_table import SEARCH, check_settings
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.causal_lm.card import EquizeroLMCard
from hf_equi.models.causal_lm.configuration_equizero_lm import EquizeroLMConfig
from hf_equi.models.causal_lm.modeling_equi_lm import EquiLM
from hf_equi.models.text.generation_settings import settings_for_base

__all__ = ["EquizeroLM"]


class EquizeroLM(EquiLM):
    r"""A causal language model whose texts minimise a loss over the orbit, round by round.

    $$ g^* = \arg\min_g \; l(Y_g), \qquad X \leftarrow g^{*-1} Y_{g^*} $$

    where Y_g is the context gX with a draft of `beam_length` tokens by the base model: see `EquizeroSearch`. `forward`
    is that of EquiLM, for scoring and training. It is not the distribution of the texts, which has no tractable
    likelihood.

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.
        scorer: The loss l. By default it is the scorer that the configuration names, loaded with the first text. The
            scorer is not part of the model. If it is an `nn.Module`, it is neither among the model's parameters nor in
            its checkpoint, and stays in its own mode and on its own device.

    Raises:
        ConfigurationError: As in `EquiLM`, and for a scorer that cannot be called.
        UnsupportedModelError: As in `EquiLM`.

    Cost: as in `EquizeroSearch`: |G| rows for each text, and one call of the scorer for each `beam_length` tokens.

    References:
        arXiv 2305.09900, equation 2, §4.1 and §C.2.

    Example:
        >>> import hf_equi
        >>> group = hf_equi.DemographicGroup([["man", "woman"], ["he", "she"]])
        >>> lm = hf_equi.symmetrize("demo", group, method="equizero", scorer=hf_equi.RegardScorer("demo"))
        >>> prompts = lm.tokenizer(["The man worked as", "The woman worked as"], return_tensors="pt")
        >>> lm.generate(**prompts, max_new_tokens=10, do_sample=True, seed=7).shape
        torch.Size([2, 14])
    """

    config_class = EquizeroLMConfig
    card_kind: ClassVar[CardKind] = EquizeroLMCard()
    own_arguments: ClassVar[tuple[str, ...]] = ("scorer",)

    def __init__(
        self, config: EquizeroLMConfig, base: PreTrainedModel | None = None, scorer: Scorer | None = None
    ) -> None:
        check_search(scorer, config.beam_length, config.action)
        super().__init__(config, base)
        self._scorer: Scorer | None = None
        if scorer is not None:
            self.scorer = scorer
        elif config.scorer_settings is None:
            warnings.warn(
                "This EquizeroLM was saved without its scorer, so it cannot generate yet: pass scorer= to "
                "from_pretrained, or set lm.scorer",
                HfEquiWarning,
                stacklevel=2,
            )

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a scorer that is a module is not registered as a part of the model."""
        if name in ("scorer", "_scorer"):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def scorer(self) -> Scorer:
        """The loss that the search minimises.

        Raises:
            ConfigurationError: If none was given and none is stored.
        """
        if self._scorer is None:
            if self.config.scorer_settings is None:
                raise ConfigurationError(
                    "This EquizeroLM has no scorer: set lm.scorer = hf_equi.RegardScorer(), or pass scorer= to "
                    "symmetrize, from_pretrained or generate"
                )
            with reading(f"The scorer of {self.config.name_or_path or 'this model'}", "Set another: lm.scorer = ..."):
                self._scorer = stored_scorer(self.config.scorer_settings)
        return self._scorer

    @scorer.setter
    def scorer(self, scorer: Scorer) -> None:
        check_search(scorer, self.config.beam_length, self.config.action)
        self._scorer = scorer
        self.config.scorer_settings = scorer.settings if isinstance(scorer, ClassifierScorer) else None

    def _update_config(self) -> None:
        super()._update_config()
        if isinstance(self._scorer, ClassifierScorer):  # its classifier may have been trained since it was set
            self.config.scorer_settings = self._scorer.settings

    def _save(self, folder: Path, **kwargs: Any) -> None:
        super()._save(folder, **kwargs)
        if (name := self._scorer_folder) is not None:
            warnings.warn(
                f"The scorer is the folder {name} on this machine, which the checkpoint does not name. To load the "
                "model, pass scorer=.",
                HfEquiWarning,
                stacklevel=3,
            )

    def _check_public(self) -> None:
        if (name := self._scorer_folder) is not None:
            raise ConfigurationError(
                f"The scorer is the folder {name}, which exists only on this machine. Put it on the Hub and load it "
                'from there, lm.scorer = RegardScorer("me/scorer"). Or set a function, which is not stored: then '
                "users pass scorer= when they load the model"
            )

    @property
    def _scorer_folder(self) -> str | None:
        """The place of the scorer on this machine, if it is not on the Hub."""
        return (
            None if self.config.stored_scorer == self.config.scorer_settings else self.config.scorer_settings["name"]
        )

    def _check_call(self, value_of: Callable[[str], Any], group: Any) -> Any:
        check_settings(value_of, (SEARCH,))
        return (group or self.group) if self.acts_on_words else self.resolve(group)

    def _write_texts(
        self, ids: torch.Tensor, call: tuple[Any, Any], group: Any, seed: int | None, kwargs: dict[str, Any]
    ) -> Any:
        """Write texts with the search."""
        generation_config, logits_processor = call
        scorer, beam_length = kwargs.pop("scorer", None), kwargs.pop("beam_length", None)
        search = EquizeroSearch(
            group,
            self.tokenizer,
            self.scorer if scorer is None else scorer,
            self.config.beam_length if beam_length is None else beam_length,
            self.config.action,
            streamer=kwargs.get("streamer"),
        )
        config, kwargs = settings_for_base(self, generation_config, kwargs)
        return self.base.generate(ids, config, logits_processor, custom_generate=search, seed=seed, **kwargs)
