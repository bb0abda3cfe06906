"""Decoding with a symmetrised language model: what `EquiLM` adds to `generate`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from transformers import LogitsProcessorList
from transformers.cache_utils import Cache
from transformers.generation import UnbatchedClassifierFreeGuidanceLogitsProcessor
from transformers.utils import ModelOutput

from hf_equi.actions.staying import TextBatch
from hf_equi.bases.compat import CACHE, accepts_cache, cached, named_arguments
from hf_equi.errors import ConfigurationError
from hf_equi.generation.coupled_sampling import CoupledDraws, CoupledNoise, Prompts
from hf_equi.generation.orbit_cache import OrbitCache
from hf_equi.generation.padding import check_mask, infer_mask, infers_mask, padding_is_known
from hf_equi.generation.rank_cuts import break_ties
from hf_equi.generation.settings_table import CAUSAL, check_settings, refused_method, value_reader, warn_of_names
from hf_equi.generation.units.board import UnitBoard
from hf_equi.generation.units.choosing import UnitNoise
from hf_equi.generation.units.prompts import warn_of_prompts
from hf_equi.models.peft.bases import check_adapter_names
from hf_equi.models.text.generation_settings import GenerationSettings
from hf_equi.symmetrizers import Draws
from hf_equi.symmetrizers.select import IdentityMember

if TYPE_CHECKING:
    from hf_equi.actions import TokenAction, TokenPairAction
    from hf_equi.groups import DemographicGroup
    from hf_equi.symmetrizers import Method

__all__ = ["DecodingMixin"]


class DecodingMixin:
    """`generate` with a seed and a group. Comes before `GenerationMixin` in the bases of a model."""

    coupling: Any = None
    """A `TokenAction` by whose orbits the noise of prompts is tied; by default that of the call."""
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
        def method(self) -> Method:  # noqa: D102  the model's
            ...

    @accepts_cache(removed="6.0.0")
    @torch.no_grad()
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
        """Generate text as `GenerationMixin.generate` does. docs/guarantees.md says what holds with each setting.

        An `EquiLM` and a synchronised `EquiForSeq2SeqLM` run the strategy on the combined scores of each step. With
        independent decoding, the strategy decodes each member alone, and the text is the best token of the combined
        outputs at each place. Equizero decodes every member greedily and takes the one with the lowest loss. With a
        strategy other than greedy it then decodes once more, with that member only. An `EquizeroLM` writes with its
        search, and the settings apply to the drafts. With `action="words"`, the base's own `generate` continues the
        text of one member, and the settings apply to that text. Words of several tokens that move are chosen as a
        whole, except in beams, as `UnitNoise` says; `max_new_tokens` may cut one.

        Args:
            inputs: `(batch, tokens)` prompts or sources, or `input_ids=`.
            generation_config: As in transformers. Settings that it leaves open are read from the model's own config.
            logits_processor: As in transformers; acts in the user's own frame.
            *args: As in transformers.
            group: Another group, for this call only.
            seed: Couples sampling. The text of a prompt then depends only on the seed and the prompt, and texts of
                prompts that the group maps to each other are mapped to each other. To draw several samples of a
                prompt, use `num_return_sequences`. Without a seed, samples are drawn from torch's global generator.
                Without `do_sample`, the seed breaks exact ties, and `"mixture"` draws its element with it. In that
                case the default is 0, so that the text is the same in every call.
            **kwargs: As in transformers. `EquizeroLM` also takes `scorer` and `beam_length`, for this call only. With
                it, `use_cache=False` and `cache_implementation` have no effect or are refused, and `stop_strings` need
                no tokenizer.

        Returns:
            As in transformers, `(texts, tokens)`. With `return_dict_in_generate`, methods of one member add
            `chosen_element`, `(texts,)`. Equizero of a sequence-to-sequence model also adds `margin`. `EquizeroLM`
            then returns an `EquizeroOutput`.

        Raises:
            ConfigurationError: For prompts that are not token ids; for a setting that cannot keep the guarantee, such
                as another decoding method if members are decoded alone or by a search; for an invalid seed, or a seed
                with sampled beams; for scores that are NaN; as in `EquizeroSearch`.
            ActionError: For token ids that are not in the vocabulary.

        Warns:
            HfEquiWarning: If a setting names a word but not all words that it is exchanged with.
            GroupWarning: If prompts hold a word of the group that stays, or may be read as other words.
        """
        kwargs = named_arguments(args, kwargs)
        settings = GenerationSettings.read(self.generation_config, generation_config, kwargs)
        settings.check_seed(seed)
        group = self._check_call(value_reader(self.generation_config, generation_config, kwargs), group)
        ids = self._read_prompts(inputs, settings, kwargs)
        self._warn_of_prompts(self._prompts(group, ids, kwargs), logits_processor)
        masked = kwargs.get("attention_mask") is not None
        known = masked or infers_mask(settings.pad_token_id, settings.eos_token_ids)
        with padding_is_known(self.base) if known else nullcontext():
            return self._write_texts(ids, (generation_config, logits_processor), group, seed, kwargs)

    def _check_call(self, value_of: Callable[[str], Any], group: Any) -> Any:
        """Refuse settings that break the guarantee, warn of those that may lose it, and return the call's action."""
        check_settings(value_of, self._ways)
        action = self.resolve(group)
        if not isinstance(self.method.select, IdentityMember):  # it guarantees nothing
            warn_of_names(value_of, self._written_action(action), self._written_tokenizer)
        return action

    def _prompts(self, action: Any, ids: torch.Tensor, kwargs: dict[str, Any]) -> list[TextBatch]:
        """Return what a call reads."""
        return [TextBatch(action, self._tokenizer, ids, kwargs.get("attention_mask"))]

    def _warn_of_prompts(self, prompts: list[TextBatch], processors: Any) -> None:
        """Warn of words that stay, and of prompts that may be read in several ways; not of the texts of a draft."""
        self.warn_of_staying_words(*prompts)
        if not any(isinstance(each, UnitNoise) for each in processors or ()):
            for each in prompts:
                warn_of_prompts(each)

    @property
    def _ways(self) -> tuple[str, ...]:
        """The ways in which the model decodes, as the table of settings names them."""
        return (CAUSAL,)

    @property
    def _written_tokenizer(self) -> Any:
        """The tokenizer of the texts that are written, or `None`."""
        return self._tokenizer

    def _written_action(self, action: Any) -> TokenAction:
        """Return the group's action on the texts that are written."""
        own: TokenAction = action
        return own

    def generate_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Refused, because continuous batching has no cache for the rows of an orbit."""
        raise refused_method("generate_batch")

    def init_continuous_batching(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: as `generate_batch`."""
        raise refused_method("init_continuous_batching")

    def continuous_batching_context_manager(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: as `generate_batch`."""
        raise refused_method("continuous_batching_context_manager")

    def heal_tokens(self, *args: Any, **kwargs: Any) -> Any:
        """Refused, because it rewrites the last token of a prompt, which the group may exchange."""
        raise refused_method("heal_tokens")

    def _write_texts(
        self, ids: torch.Tensor, call: tuple[Any, Any], group: Any, seed: int | None, kwargs: dict[str, Any]
    ) -> Any:
        """Write texts by the scores of `forward`; `call` holds both the config and the processors of the call."""
        generation_config, logits_processor = call
        settings = GenerationSettings.read(self.generation_config, generation_config, kwargs)
        action = self.resolve(group)
        kwargs.pop("board", None)  # an assistant is given that of the call that it drafts for
        mask = kwargs.get("attention_mask")
        if mask is None:
            mask = kwargs["attention_mask"] = infer_mask(ids, settings.pad_token_id, settings.eos_token_ids)
        # Without a seed, greedy texts are the same in every call, and samples are drawn anew.
        noise_seed = seed if settings.do_sample else seed or 0
        ids = ids.to(action.device)
        if mask is not None:
            mask = kwargs["attention_mask"] = mask.to(action.device)
        if (cache := OrbitCache.again(kwargs.get(CACHE))) is not None:
            kwargs[CACHE] = cache
        if isinstance(cache, OrbitCache):
            cache.check_action(self._written_action(action))
            self._check_cached(cache, ids, settings, kwargs)
        prompts = self._describe_prompts(action, ids, mask, noise_seed, generation_config, kwargs)
        ids, kwargs = self._choose_elements(action, ids, kwargs, settings, None if noise_seed is None else prompts)
        processors, noise, own = self._with_noise(logits_processor, prompts, settings, ids.shape[1])
        generation_config = _without_compilation(generation_config, kwargs)
        out = super().generate(ids, generation_config, processors, group=action, **own, **kwargs)  # type: ignore[misc]
        if noise is not None and noise.draws and settings.keeps_scores:
            out.scores = noise.scores(len(out.scores))
        if isinstance(out, ModelOutput) and "elements" in kwargs:
            out.chosen_element = kwargs["elements"]
        return out

    def _with_noise(
        self, given: Any, prompts: Prompts, settings: GenerationSettings, columns: int
    ) -> tuple[LogitsProcessorList, CoupledNoise | None, dict[str, Any]]:
        """Return the processors of a call, the one of them that chooses, if any, and what `forward` needs for it."""
        processors, mode, record = LogitsProcessorList(given or []), settings.noise_mode, settings.keeps_scores
        if mode is None:
            return processors, None, {}
        noise, own = CoupledNoise(prompts, mode, record), {}
        if prompts.written.composes and mode != "beams":
            own["board"] = board = UnitBoard()
            drafted = [each for each in processors if isinstance(each, UnitNoise)]
            processors = LogitsProcessorList([each for each in processors if each not in drafted])
            noise = UnitNoise(prompts, mode, record, board, columns)
            if drafted:
                noise = drafted[0].drafting(record, board, columns)
        processors.append(noise)
        return processors, noise, own

    def _describe_prompts(
        self,
        action: Any,
        ids: torch.Tensor,
        mask: torch.Tensor | None,
        seed: int | None,
        given: Any,
        kwargs: dict[str, Any],
    ) -> Prompts:
        """Return what the noise depends on in the prompts."""
        return Prompts(self.coupling or action, ids, mask, seed, written=action)

    def _prompt_action(self, action: Any) -> TokenAction:
        """Return the group's action on the prompts."""
        own: TokenAction = action
        return own

    def _read_prompts(
        self, inputs: torch.Tensor | None, settings: GenerationSettings, kwargs: dict[str, Any]
    ) -> torch.Tensor:
        """Return the checked token ids of a call, or the token that begins a text if there are none."""
        kwargs.pop("labels", None)  # Seq2SeqTrainer passes these, and other models ignore them too
        ids = kwargs.pop("input_ids", None) if inputs is None else inputs
        for name in ("inputs_embeds", "encoder_outputs"):
            if kwargs.get(name) is not None and (ids is None or name == "inputs_embeds"):
                raise ConfigurationError(f"A group acts on tokens: pass the prompts as input_ids, not as {name}")
        if ids is None or (isinstance(ids, torch.Tensor) and ids.dim() == 2 and not ids.shape[1]):
            kwargs["attention_mask"] = None
            return settings.begin(1 if ids is None else len(ids), self.device)
        if not isinstance(ids, torch.Tensor) or ids.dim() != 2:
            raise ConfigurationError(
                "Prompts are token ids of shape (batch, tokens); received "
                f"{getattr(ids, 'shape', type(ids).__name__)}. "
                'Use lm.tokenizer(texts, return_tensors="pt", padding=True).'
            )
        if kwargs.get("assistant_model") is not None and not isinstance(kwargs["assistant_model"], DecodingMixin):
            raise ConfigurationError(
                "The assistant must be symmetrised too: symmetrize(assistant, group, tokenizer=...)"
            )
        check_adapter_names(kwargs, self)  # type: ignore[arg-type]  # a part of a model
        check_mask(kwargs.get("attention_mask"), ids, after_cache=kwargs.get(CACHE) is not None)
        return ids

    def _choose_elements(
        self,
        action: TokenAction,
        ids: torch.Tensor,
        kwargs: dict[str, Any],
        settings: GenerationSettings,
        prompts: Prompts | None,
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """If the method decodes one member of the orbit, return which one, for each sample of each prompt.

        A cache of earlier tokens continues with the members that the method asks for, one or several.
        """
        method, cache, draws = self.method, kwargs.get(CACHE), Draws()
        if "elements" in kwargs or not (method.selects_one or isinstance(cache, OrbitCache)):
            return ids, kwargs
        if isinstance(cache, OrbitCache):
            cache.check_select(method.select)
        if method.selects_one:
            ids, kwargs = settings.expand_samples(ids, kwargs)
            draws = draws if prompts is None else CoupledDraws(prompts, settings.samples)
        mask = kwargs.get("attention_mask")
        mask = None if mask is None else mask.to(action.device)
        elements = method.select(self._prompt_action(action), ids, mask, draws).elements
        if isinstance(cache, OrbitCache):
            cache.check_members(elements.shape[1])
            self._take_up(cache, elements, ids)
        if method.selects_one:
            kwargs["elements"] = elements[:, 0]
        return ids, kwargs

    def _check_cached(
        self, cache: OrbitCache, ids: torch.Tensor, settings: GenerationSettings, kwargs: dict[str, Any]
    ) -> None:
        """Refuse texts that do not continue those of a cache, and calls that pass only the new tokens."""
        mask = kwargs.get("attention_mask")
        if mask is not None and mask.shape[1] != ids.shape[1]:
            raise ConfigurationError(
                f"input_ids have {ids.shape[1]} tokens, but attention_mask has {mask.shape[1]}. With a cache, pass "
                "the whole texts: they decide the element and the noise of each text. Cached tokens are not read "
                "again."
            )
        cache.check_texts(ids.shape[1], len(ids) * settings.rows)

    def _take_up(self, cache: OrbitCache, elements: torch.Tensor, ids: torch.Tensor) -> None:
        """Let the whole text decide the element, as it does without a cache of its beginning."""
        cache.take_up(elements, ids)

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
        """Return the new tokens of the B texts; the base prepares the inputs of their orbits itself."""
        ids = input_ids if next_sequence_length is None else input_ids[:, -next_sequence_length:]
        if (positions := kwargs.get("position_ids")) is not None:
            kwargs["position_ids"] = positions[..., -ids.shape[1] :]
        return {"input_ids": ids, **cached(cache), "attention_mask": attention_mask, **kwargs}

    def _validate_model_kwargs(self, model_kwargs: dict[str, Any]) -> None:
        """Check that the base knows everything that is passed on to it."""
        own = ("board", "elements", "group")
        self.base._validate_model_kwargs({key: value for key, value in model_kwargs.items() if key not in own})

    def _sample(self, input_ids: torch.Tensor, *, logits_processor: Any, **kwargs: Any) -> Any:
        """Decode token by token; if the last processor has already drawn the token, take its choice."""
        if any(getattr(processor, "draws", False) for processor in logits_processor):
            kwargs["generation_config"] = copy.copy(kwargs["generation_config"])
            kwargs["generation_config"].do_sample = False
        return super()._sample(input_ids, logits_processor=logits_processor, **kwargs)  # type: ignore[misc]

    def _get_logits_processor(self, *args: Any, **kwargs: Any) -> LogitsProcessorList:
        """Return the processors of a call: watchers first, those that choose last (after temperature and top-p)."""
        processors = super()._get_logits_processor(*args, **kwargs)  # type: ignore[misc]
        given = kwargs.get("model_kwargs") or {}
        for processor in processors:
            if isinstance(processor, UnbatchedClassifierFreeGuidanceLogitsProcessor) and processor.model is self:
                # The same members read the other prompt. Otherwise a text and its image would be guided differently.
                orbit = {name: given[name] for name in ("group", "elements") if name in given}
                processor.model = partial(self, **orbit)
        for processor in list(processors):
            if isinstance(processor, CoupledNoise):
                processors = break_ties(processors, processor.tie_noise)

        def place(processor: Any) -> tuple[bool, bool]:
            return not getattr(processor, "runs_first", False), getattr(processor, "runs_last", False)

        ordered = sorted(processors, key=place)
        if ordered and isinstance(last := ordered[-1], UnitNoise):
            ordered = [last.around(ordered[:-1])]
        return LogitsProcessorList(ordered)


def _without_compilation(config: Any, kwargs: dict[str, Any]) -> Any:
    """Switch compilation off: rows fork while text is generated, so a compiled graph of fixed shapes does not fit."""
    if config is None:
        kwargs.setdefault("disable_compile", True)
        return None
    config = copy.copy(config)
    config.disable_compile = True
    return config
