"""EquizeroLM: a causal language model that decodes by searching the orbit for the least loss."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel, StoppingCriteriaList
from transformers.generation import StopStringCriteria

from hf_equi.bases.compat import accepts_cache
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.generation.equizero_search import EquizeroSearch
from hf_equi.generation.scorers import RegardScorer, Scorer
from hf_equi.generation.search_checks import check_search
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.cards.text_kinds import EquizeroLMCard
from hf_equi.models.causal_lm.configuration_equizero_lm import EquizeroLMConfig
from hf_equi.models.causal_lm.modeling_equi_lm import EquiLM
from hf_equi.models.text.generation_settings import GenerationSettings

if TYPE_CHECKING:
    from hf_equi.actions import TokenAction, TokenPairAction
    from hf_equi.groups import DemographicGroup

__all__ = ["EquizeroLM"]


class EquizeroLM(EquiLM):
    r"""A causal language model whose texts minimise a loss over the orbit, round by round.

    $$ g^* = \arg\min_g \; l(Y_g), \qquad X \leftarrow g^{*-1} Y_{g^*} $$

    where Y_g is the context gX with a draft of `beam_length` tokens by the base model: see `EquizeroSearch`. `forward`
    is that of EquiLM, for scoring and training; it is not the law of the texts, which has no tractable likelihood.

    Args:
        config: Its configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.
        scorer: The loss l. By default the `RegardScorer` that the configuration names, loaded with the first text. It
            is no part of the model: an `nn.Module` is neither among its parameters nor in its checkpoint, and stays
            in the mode and on the device that it is in.

    Raises:
        ConfigurationError: As `EquiLM`, and for a scorer that cannot be called.
        UnsupportedModelError: As `EquiLM`.

    Cost: as `EquizeroSearch`: |G| rows a text, and one call of the scorer for each `beam_length` tokens.

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
    tractable: ClassVar[bool] = False
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
        """A scorer that is a module is not registered as a part of the model."""
        if name in ("scorer", "_scorer"):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def scorer(self) -> Scorer:
        """The loss that the search minimises.

        Raises:
            ConfigurationError: If none was given, and none is stored.
        """
        if self._scorer is None:
            if self.config.scorer_settings is None:
                raise ConfigurationError(
                    "This EquizeroLM has no scorer: set lm.scorer = hf_equi.RegardScorer(), or pass scorer= to "
                    "symmetrize, from_pretrained or generate"
                )
            self._scorer = RegardScorer.from_settings(self.config.scorer_settings)
        return self._scorer

    @scorer.setter
    def scorer(self, scorer: Scorer) -> None:
        check_search(scorer, self.config.beam_length, self.config.action)
        self._scorer = scorer
        self.config.scorer_settings = scorer.settings if isinstance(scorer, RegardScorer) else None

    def _update_config(self) -> None:
        super()._update_config()
        if isinstance(self._scorer, RegardScorer):  # whose classifier may have been trained since it was set
            self.config.scorer_settings = self._scorer.settings

    def _check_public(self) -> None:
        name = (self.config.scorer_settings or {}).get("name", "")
        if Path(name).is_absolute():
            raise ConfigurationError(
                f"The scorer is the folder {name}, which nobody else has, and the config would name it. Put it on the "
                'Hub and load it from there, lm.scorer = RegardScorer("me/scorer"), or set a function, which is not '
                "stored: who loads the model passes scorer="
            )

    @accepts_cache(removed="6.0.0")
    def generate(
        self,
        inputs: torch.Tensor | None = None,
        generation_config: Any = None,
        logits_processor: LogitsProcessorList | None = None,
        *args: Any,
        group: DemographicGroup | TokenAction | TokenPairAction | None = None,
        seed: int | None = None,
        scorer: Scorer | None = None,
        beam_length: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Generate text by the search, with the sampler settings of `generate` for the drafts.

        Args:
            inputs: `(batch, tokens)` prompts, or `input_ids=`.
            generation_config: As in transformers; what it leaves open is read from the model's own.
            logits_processor: As in transformers.
            *args: As in transformers.
            group: Another group, for this call alone.
            seed: Couples sampling: texts are functions of seed and prompt alone, and the images of each other.
            scorer: Another scorer, for this call alone.
            beam_length: Another length of drafts, for this call alone.
            **kwargs: As in transformers. `use_cache=False` and `cache_implementation` have no effect or are refused.
                `stop_strings` need no tokenizer.

        Returns:
            `(batch * num_return_sequences, tokens)`, or an `EquizeroOutput` with `return_dict_in_generate`.

        Raises:
            ConfigurationError: Without token ids; for a seed that is no number; for another search (`num_beams`,
                `assistant_model`, `custom_generate`); without a scorer; and as `EquizeroSearch`.
        """
        for name in ("custom_generate", "assistant_model"):
            if kwargs.get(name) is not None:
                raise ConfigurationError(f"EquizeroLM is a search of its own: leave {name} out, or call lm.unwrap()")
        ids = self._read_prompts(inputs, kwargs)
        settings = GenerationSettings.read(self.generation_config, generation_config, kwargs)
        settings.check_seed(seed)
        if settings.num_beams > 1:
            raise ConfigurationError("EquizeroLM is a search of its own: leave num_beams out")
        words = self.config.action == "words"
        search = EquizeroSearch(
            (group or self.group) if words else self.resolve(group),  # type: ignore[arg-type]  # checks it itself
            self.tokenizer,
            self.scorer if scorer is None else scorer,
            self.config.beam_length if beam_length is None else beam_length,
            self.config.action,
            streamer=kwargs.get("streamer"),
        )
        config, kwargs = self._own_settings(generation_config, kwargs)
        args, kwargs = self._pass_stop_strings(config, args, kwargs)
        return self.base.generate(  # type: ignore[operator]  # of GenerationMixin
            ids, config, logits_processor, *args, custom_generate=search, seed=seed, **kwargs
        )

    def _own_settings(
        self, given: GenerationConfig | None, kwargs: dict[str, Any]
    ) -> tuple[GenerationConfig, dict[str, Any]]:
        """One config of the call, with gaps filled from this model's own, and what else the base is to be told."""
        config = copy.deepcopy(given or self.generation_config)
        if given is not None:
            config.update(**self.generation_config.to_dict(), defaults_only=True, allow_custom_entries=True)
        rest = config.update(**kwargs)
        # The base fills what is left with its own settings, unless it is told that there are none.
        usual = config._get_default_generation_params()
        for name, value in self.base.generation_config.to_dict().items():
            if value is not None and getattr(config, name, None) is None:
                setattr(config, name, usual.get(name))
                if usual.get(name) is None:
                    rest[name] = None
        return config, rest

    def _pass_stop_strings(
        self, config: GenerationConfig, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """As criteria: `generate` finds no tokenizer for them where the decoding method is a callable."""
        tokenizer = kwargs.pop("tokenizer", None) or self.tokenizer
        strings, config.stop_strings = config.stop_strings, None
        if not strings:
            return args, kwargs
        if getattr(self.base.generation_config, "stop_strings", None):
            kwargs["stop_strings"] = None
        given = args[0] if args else kwargs.pop("stopping_criteria", None)
        criteria = StoppingCriteriaList([*(given or []), StopStringCriteria(tokenizer, strings)])
        return (criteria, *args[1:]), kwargs
