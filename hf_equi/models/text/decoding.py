"""Decoding with a symmetrised language model: what `EquiLM` adds to `generate`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from transformers import LogitsProcessorList
from transformers.cache_utils import Cache
from transformers.utils import ModelOutput

from hf_equi.actions.staying import TextBatch
from hf_equi.bases.compat import accepts_cache, cached, named_arguments
from hf_equi.errors import ConfigurationError
from hf_equi.generation.coupled_sampling import CoupledDraws, CoupledNoise, Prompts
from hf_equi.generation.padding import infer_mask
from hf_equi.models.text.generation_settings import GenerationSettings
from hf_equi.symmetrizers import Draws

if TYPE_CHECKING:
    from hf_equi.actions import TokenAction, TokenPairAction
    from hf_equi.groups import DemographicGroup
    from hf_equi.symmetrizers import Method

__all__ = ["DecodingMixin"]


class DecodingMixin:
    """`generate` with a seed and a group. Comes before `GenerationMixin` in the bases of a model."""

    base: Any
    config: Any
    device: torch.device
    generation_config: Any
    resolve: Any
    select_members: Any
    warn_of_staying_words: Any
    _tokenizer: Any

    if TYPE_CHECKING:

        @property
        def method(self) -> Method:  # noqa: D102  of the model
            ...

    @accepts_cache(removed="6.0.0")
    def generate(
        self,
        inputs: torch.Tensor | None = None,
        generation_config: Any = None,
        logits_processor: LogitsProcessorList | None = None,
        *args: Any,
        group: DemographicGroup | TokenAction | TokenPairAction | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Generate text, as `GenerationMixin.generate` with all its settings.

        An `EquiLM` and a synchronised `EquiForSeq2SeqLM` run the strategy on the combined scores of each step. With
        independent decoding each member is decoded alone by the strategy, and the text is the best token of the
        combined outputs at each place; equizero decodes every member greedily and takes the one with the least loss,
        and other strategies than greedy then decode once more, with that member alone. An `EquizeroLM` writes by its
        search, for whose drafts the settings are.

        Args:
            inputs: `(batch, tokens)` prompts or sources, or `input_ids=`.
            generation_config: As in transformers; what it leaves open is read from the model's own.
            logits_processor: As in transformers; acts in the user's own frame.
            *args: As in transformers.
            group: Another group, for this call alone.
            seed: Couples sampling (without `do_sample` it only breaks exact ties): the text of a prompt is a function
                of the seed and the prompt alone, and texts of prompts that the group maps to each other are mapped to
                each other. Draw several samples of a prompt with `num_return_sequences`. Without a seed, texts are
                drawn from torch's global generator.
            **kwargs: As in transformers. `EquizeroLM` takes `scorer` and `beam_length` too, other ones for this call
                alone; there `use_cache=False` and `cache_implementation` have no effect or are refused, and
                `stop_strings` need no tokenizer.

        Returns:
            As in transformers, `(texts, tokens)`; with `return_dict_in_generate`, methods of one member add
            `chosen_element`, `(texts,)`, and equizero of a sequence-to-sequence model `margin` as well. `EquizeroLM`
            gives an `EquizeroOutput` then.

        Warns:
            GroupWarning: For prompts that hold a word of the group that stays where it is.

        Raises:
            ConfigurationError: Without token ids; for a seed that is no number, or with sampled beams; for another
                decoding method where members are decoded alone, or by a search; as `EquizeroSearch`.
        """
        kwargs = named_arguments(args, kwargs)
        ids = self._read_prompts(inputs, kwargs)
        GenerationSettings.read(self.generation_config, generation_config, kwargs).check_seed(seed)
        group = self._read_group(group, ids, kwargs)
        return self._write_texts(ids, (generation_config, logits_processor), group, seed, kwargs)

    def _read_group(self, group: Any, ids: torch.Tensor, kwargs: dict[str, Any]) -> Any:
        """How the group of a call acts, with a warning of its words that the prompts hold and that stay."""
        action = self.resolve(group)
        self.warn_of_staying_words(TextBatch(action, self._tokenizer, ids, kwargs.get("attention_mask")))
        return action

    def _write_texts(
        self, ids: torch.Tensor, call: tuple[Any, Any], group: Any, seed: int | None, kwargs: dict[str, Any]
    ) -> Any:
        """Write texts by the scores of `forward`; the config and the processors of the call are two things in one."""
        generation_config, logits_processor = call
        settings = GenerationSettings.read(self.generation_config, generation_config, kwargs)
        action = self.resolve(group)
        mask = kwargs.get("attention_mask")
        if mask is None:
            mask = kwargs["attention_mask"] = infer_mask(ids, settings.pad_token_id, settings.eos_token_ids)
        # Ties are broken alike in every call; texts are drawn anew unless a seed is given.
        noise_seed = seed if settings.do_sample else seed or 0
        ids, mask = ids.to(action.device), None if mask is None else mask.to(action.device)
        prompts = self._describe_prompts(action, ids, mask, noise_seed, generation_config, kwargs)
        ids, kwargs = self._choose_elements(action, ids, kwargs, settings, None if seed is None else prompts)
        processors, mode = LogitsProcessorList(logits_processor or []), settings.noise_mode
        if mode == "sample" and settings.cuts_ties:
            processors.append(CoupledNoise(prompts, "nudge"))
        if mode is not None:
            noise = CoupledNoise(prompts, mode, record=settings.keeps_scores)
            processors.append(noise)
        generation_config = _without_compilation(generation_config, kwargs)
        out = super().generate(ids, generation_config, processors, group=action, **kwargs)  # type: ignore[misc]
        if mode == "sample" and settings.keeps_scores and len(out.scores) == len(noise.recorded or ()):
            out.scores = tuple(noise.recorded or ())
        if isinstance(out, ModelOutput) and "elements" in kwargs:
            out.chosen_element = kwargs["elements"]
        return out

    def _describe_prompts(
        self,
        action: Any,
        ids: torch.Tensor,
        mask: torch.Tensor | None,
        seed: int | None,
        given: Any,
        kwargs: dict[str, Any],
    ) -> Prompts:
        """What the noise has to know of the prompts."""
        return Prompts(action, ids, mask, seed)

    def _prompt_action(self, action: Any) -> TokenAction:
        """How the group acts on the prompts."""
        own: TokenAction = action
        return own

    def _read_prompts(self, inputs: torch.Tensor | None, kwargs: dict[str, Any]) -> torch.Tensor:
        """The token ids of a call, checked."""
        kwargs.pop("labels", None)  # which Seq2SeqTrainer passes, and other models ignore too
        ids = kwargs.pop("input_ids", None) if inputs is None else inputs
        if ids is None or kwargs.get("inputs_embeds") is not None:
            raise ConfigurationError("A group acts on tokens: pass the prompts as input_ids, not as inputs_embeds")
        if not isinstance(ids, torch.Tensor) or ids.dim() != 2:
            raise ConfigurationError(
                "Prompts are token ids of shape (batch, tokens); received "
                f"{getattr(ids, 'shape', type(ids).__name__)}. "
                'Use lm.tokenizer(texts, return_tensors="pt", padding=True).'
            )
        if kwargs.get("assistant_model") is not None and not isinstance(kwargs["assistant_model"], DecodingMixin):
            raise ConfigurationError(
                "The assistant has to be symmetrised too: symmetrize(assistant, group, tokenizer=...)"
            )
        return ids

    def _choose_elements(
        self,
        action: TokenAction,
        ids: torch.Tensor,
        kwargs: dict[str, Any],
        settings: GenerationSettings,
        prompts: Prompts | None,
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Where the method decodes one member of the orbit: which one, for each sample of each prompt."""
        select = self.method.select
        if not select.selects_one or "elements" in kwargs:
            return ids, kwargs
        ids, kwargs = settings.expand_samples(ids, kwargs)
        mask = kwargs.get("attention_mask")
        mask = None if mask is None else mask.to(action.device)
        draws = Draws() if prompts is None else CoupledDraws(prompts, settings.samples)
        kwargs["elements"] = select(
            self._prompt_action(action), ids, mask, draws, getattr(self, "select_network", None)
        ).elements[:, 0]
        return ids, kwargs

    @accepts_cache()
    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        next_sequence_length: int | None = None,
        cache: Cache | None = None,
        attention_mask: torch.Tensor | None = None,
        is_first_iteration: bool | None = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The new tokens of the B texts; the base prepares the inputs of their orbits itself."""
        ids = input_ids if next_sequence_length is None else input_ids[:, -next_sequence_length:]
        if (positions := kwargs.get("position_ids")) is not None:
            kwargs["position_ids"] = positions[..., -ids.shape[1] :]
        return {"input_ids": ids, **cached(cache), "attention_mask": attention_mask, **kwargs}

    def _validate_model_kwargs(self, model_kwargs: dict[str, Any]) -> None:
        """What is passed on to the base has to be known to it."""
        own = ("elements", "group")
        self.base._validate_model_kwargs({key: value for key, value in model_kwargs.items() if key not in own})

    def _sample(self, input_ids: torch.Tensor, *, logits_processor: Any, **kwargs: Any) -> Any:
        """Decode token by token; where the last processor has drawn the token already, take its choice."""
        if any(getattr(processor, "draws", False) for processor in logits_processor):
            kwargs["generation_config"] = copy.copy(kwargs["generation_config"])
            kwargs["generation_config"].do_sample = False
        return super()._sample(input_ids, logits_processor=logits_processor, **kwargs)  # type: ignore[misc]

    def _get_logits_processor(self, *args: Any, **kwargs: Any) -> LogitsProcessorList:
        """The processors of a call: first those that watch, last those that choose, after temperature and top-p."""
        processors = super()._get_logits_processor(*args, **kwargs)  # type: ignore[misc]

        def place(processor: Any) -> tuple[bool, bool]:
            return not getattr(processor, "runs_first", False), getattr(processor, "runs_last", False)

        return LogitsProcessorList(sorted(processors, key=place))


def _without_compilation(config: Any, kwargs: dict[str, Any]) -> Any:
    """Rows fork while text is generated, so a compiled graph of fixed shapes does not fit."""
    if config is None:
        kwargs.setdefault("disable_compile", True)
        return None
    config = copy.copy(config)
    config.disable_compile = True
    return config
