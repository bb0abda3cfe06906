"""EquizeroLM: a causal language model that decodes by searching the orbit for the least loss."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from transformers import LogitsProcessorList, PreTrainedModel, StoppingCriteriaList
from transformers.generation import StopStringCriteria

from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.generation.equizero_search import EquizeroSearch, check_search
from hf_equi.generation.scorers import RegardScorer, Scorer
from hf_equi.models.causal_lm.configuration_equizero_lm import EquizeroLMConfig
from hf_equi.models.causal_lm.generation_settings import GenerationSettings
from hf_equi.models.causal_lm.modeling_equi_lm import EquiLM

if TYPE_CHECKING:
    from hf_equi.actions import TokenAction
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
        scorer: The loss l. By default the `RegardScorer` that the configuration names, loaded with the first text.

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
    tractable: ClassVar[bool] = False

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

    def generate(
        self,
        inputs: torch.Tensor | None = None,
        generation_config: Any = None,
        logits_processor: LogitsProcessorList | None = None,
        *args: Any,
        group: DemographicGroup | TokenAction | None = None,
        seed: int | None = None,
        scorer: Scorer | None = None,
        beam_length: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Generate text by the search, with the sampler settings of `generate` for the drafts.

        Args:
            inputs: `(batch, tokens)` prompts, or `input_ids=`.
            generation_config: As in transformers.
            logits_processor: As in transformers.
            *args: As in transformers.
            group: Another group, for this call alone.
            seed: Couples sampling: texts are functions of seed and prompt alone, and the images of each other.
            scorer: Another scorer, for this call alone.
            beam_length: Another length of drafts, for this call alone.
            **kwargs: As in transformers. `use_cache=False` and `cache_implementation` have no effect or are refused.

        Returns:
            `(batch * num_return_sequences, tokens)`, or an `EquizeroOutput` with `return_dict_in_generate`.

        Raises:
            ConfigurationError: Without token ids; for a seed that is no number; with beams; without a scorer.
        """
        ids = self._read_prompts(inputs, kwargs)
        settings = GenerationSettings.read(self.generation_config, generation_config, kwargs)
        settings.check_seed(seed)
        if settings.num_beams > 1:
            raise ConfigurationError("EquizeroLM is a search of its own: leave num_beams out")
        words = self.config.action == "words"
        search = EquizeroSearch(
            (group or self.group) if words else self.resolve(group),
            self.tokenizer,
            self.scorer if scorer is None else scorer,
            self.config.beam_length if beam_length is None else beam_length,
            self.config.action,
            streamer=kwargs.get("streamer"),
        )
        self._pass_stop_strings(generation_config, kwargs)
        # One config, this model's own: generate() takes a config or settings, not both, and would take the base's.
        config = copy.deepcopy(generation_config or self.generation_config)
        kwargs = config.update(**kwargs)
        return self.base.generate(  # type: ignore[operator]  # of GenerationMixin
            ids, config, logits_processor, *args, custom_generate=search, seed=seed, **kwargs
        )

    def _pass_stop_strings(self, generation_config: Any, kwargs: dict[str, Any]) -> None:
        """As criteria: `generate` finds no tokenizer for them where the decoding method is a callable."""
        strings = kwargs.pop("stop_strings", None) or getattr(generation_config, "stop_strings", None)
        tokenizer = kwargs.pop("tokenizer", None) or self._tokenizer
        if strings:
            given = kwargs.get("stopping_criteria") or []
            kwargs["stopping_criteria"] = StoppingCriteriaList([*given, StopStringCriteria(tokenizer, strings)])
