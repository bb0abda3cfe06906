"""Decoding with a symmetrised sequence-to-sequence model: synchronised, by one member, or member by member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import LogitsProcessorList, StoppingCriteriaList
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutput

from hf_equi.actions.staying import TextBatch
from hf_equi.bases.compat import CACHE
from hf_equi.bases.rows import repeat_rows
from hf_equi.errors import ConfigurationError
from hf_equi.generation.coupled_sampling import Prompts
from hf_equi.generation.orbit_cache import OrbitCache
from hf_equi.generation.padding import check_mask, infer_mask
from hf_equi.generation.settings_table import ALONE, ENCODER, NEEDS_COMBINED, TWO_VOCABULARIES, value_reader
from hf_equi.generation.step_losses import StepLosses
from hf_equi.generation.stop_watch import StopWatch, watch_criteria
from hf_equi.models.seq2seq.outputs import ForcedTexts, WholeOutputs, as_greedy, take_rows, write_to
from hf_equi.models.seq2seq.plain_decoding import PlainDecodingMixin
from hf_equi.models.text.decoding import DecodingMixin
from hf_equi.models.text.generation_settings import GenerationSettings
from hf_equi.symmetrizers import Orbit, ProxyLoss
from hf_equi.symmetrizers.choice import decide

if TYPE_CHECKING:
    from hf_equi.actions import TokenAction, TokenPairAction

__all__ = ["PairDecodingMixin"]


class PairDecodingMixin(PlainDecodingMixin, DecodingMixin):
    """`generate` for a group that acts on source and target. Comes before `GenerationMixin` among a model's bases."""

    _target_tokenizer: Any

    def _prompts(self, action: TokenPairAction, ids: torch.Tensor, kwargs: dict[str, Any]) -> list[TextBatch]:
        """Return what a call reads: sources, and the beginnings of targets."""
        names = ("attention_mask", "decoder_input_ids", "decoder_attention_mask")
        return self._pairs(action, ids, *(kwargs.get(name) for name in names))

    def _pairs(
        self,
        action: TokenPairAction,
        ids: torch.Tensor | None,
        mask: torch.Tensor | None,
        target_ids: torch.Tensor | None,
        target_mask: torch.Tensor | None,
        labels: torch.Tensor | None = None,
    ) -> list[TextBatch]:
        """Return sources and targets; labels stand in for targets that are not given."""
        if target_ids is None:
            target_ids, target_mask = labels, None
        return [
            TextBatch(action.source, self._tokenizer, ids, mask),
            TextBatch(action.target, self._target_tokenizer or self._tokenizer, target_ids, target_mask),
        ]

    def _write_texts(
        self, ids: torch.Tensor, call: tuple[Any, Any], group: Any, seed: int | None, kwargs: dict[str, Any]
    ) -> Any:
        """Write targets: by combined scores, by one member, or by each member alone."""
        loss, action = self.method.loss, self.resolve(group)
        start = value_reader(self.generation_config, call[0], kwargs)("decoder_start_token_id")
        if isinstance(start, list):  # one for each text, but an orbit has several rows
            kwargs["decoder_start_token_id"] = torch.tensor(start, device=action.device)
        if not self._decodes_alone:
            plain = None if self.method.selects_one else self._write_plainly(ids, call, action, seed, kwargs)
            return super()._write_texts(ids, call, action, seed, kwargs) if plain is None else plain
        if kwargs.get(CACHE) is not None:
            raise ConfigurationError(f"{CACHE} {NEEDS_COMBINED}.")
        ids = ids.to(action.device)
        if loss is not None:
            return self._generate_chosen(loss, ids, call, action, seed, kwargs)
        return self._generate_independent(ids, call, action, seed, kwargs)

    def _read_prompts(
        self, inputs: torch.Tensor | None, settings: GenerationSettings, kwargs: dict[str, Any]
    ) -> torch.Tensor:
        """Return the checked source ids of a call; encoded sources hold theirs."""
        if inputs is None and kwargs.get("input_ids") is None:
            inputs = getattr(kwargs.get("encoder_outputs"), "source_ids", None)
        return super()._read_prompts(inputs, settings, kwargs)

    @property
    def _decodes_alone(self) -> bool:
        """Whether each member of an orbit is decoded as a separate text."""
        return not self.method.selects_one and (self.config.decodes_alone or self.method.loss is not None)

    @property
    def _ways(self) -> tuple[str, ...]:
        """The ways in which the model decodes, as the table of settings names them."""
        other = () if self._one_vocabulary else (TWO_VOCABULARIES,)
        return (ENCODER, *other, *((ALONE,) if self._decodes_alone else ()))

    @property
    def _one_vocabulary(self) -> bool:
        """Whether source and target have the same tokens and the group moves them alike."""
        same: bool = self.action.source.same_as(self.action.target)  # type: ignore[attr-defined]
        return same

    @property
    def _written_tokenizer(self) -> Any:
        """The target's tokenizer, or `None`."""
        shared = self._tokenizer if self._one_vocabulary else None
        return shared if self._target_tokenizer is None else self._target_tokenizer

    def _written_action(self, action: Any) -> TokenAction:
        """The target's."""
        target: TokenAction = action.target
        return target

    def _generate_chosen(
        self,
        loss: ProxyLoss,
        ids: torch.Tensor,
        call: tuple[Any, Any],
        action: TokenPairAction,
        seed: int | None,
        kwargs: dict[str, Any],
    ) -> Any:
        """Decode every member greedily, and take the one with the lowest loss, of which the model is surest."""
        config, processors = call
        settings = GenerationSettings.read(self.generation_config, config, kwargs)
        greedy = not settings.do_sample and settings.num_beams == 1
        orbit, rows = self._members(action, ids, kwargs)
        start, watch = self._start_length(config, kwargs), StopWatch()
        steps = StepLosses(loss, watch)
        streamer = rows.pop("streamer", None)
        drafts = self._draft_plainly(rows, call, action, 0, (watch, steps.note))
        if drafts is None:
            draft = _with_criteria(rows, watch)
            if not greedy:
                config, draft = as_greedy(config or self.generation_config, draft)
            watched = LogitsProcessorList([*(processors or []), steps])
            drafts = super()._write_texts(draft.pop("input_ids"), (config, watched), action, None, draft)
        chosen, decision = decide(orbit, steps.losses())
        if greedy:
            out = take_rows(drafts, chosen, start + int(steps.lengths()[chosen].max()))
            if streamer is not None:
                write_to(streamer, out, start)
        else:
            kwargs["elements"] = decision.chosen_element
            out = super()._write_texts(ids, call, action, seed, kwargs)
            if not isinstance(out, torch.Tensor):  # it has a cache of one member, which no later call could continue
                out = type(out)(**{name: value for name, value in out.items() if name != CACHE})
        if not isinstance(out, torch.Tensor):
            samples = len(out.sequences) // len(ids)
            out.chosen_element = orbit.element_of_row[chosen].repeat_interleave(samples)
            out.margin = None if decision.margin is None else decision.margin.repeat_interleave(samples)
        return out

    def _generate_independent(
        self,
        ids: torch.Tensor,
        call: tuple[Any, Any],
        action: TokenPairAction,
        seed: int | None,
        kwargs: dict[str, Any],
    ) -> Any:
        """Decode each member alone with the strategy, and combine the whole outputs."""
        config, processors = call
        settings = GenerationSettings.read(self.generation_config, config, kwargs)
        if kwargs.get("attention_mask") is None:
            kwargs["attention_mask"] = infer_mask(ids, settings.pad_token_id, settings.eos_token_ids)
        kwargs.pop("return_dict_in_generate", None)
        streamer = kwargs.pop("streamer", None)
        orbit, rows = self._members(action, ids, kwargs)
        start, watch = self._start_length(config, kwargs), StopWatch()
        combination = WholeOutputs(action.group, orbit, self.method, settings.eos_token_ids, settings.pad_token_id)
        out: Any = None
        steps: list[torch.Tensor] = []
        texts = None if settings.returns_dict else self._draft_plainly(rows, call, action, seed, (watch, steps.append))
        in_own_frames = texts is not None
        if texts is None:
            rows |= {"return_dict_in_generate": True, "output_scores": True}
            draft = _with_criteria(rows, watch) if settings.num_beams == 1 else dict(rows)
            out = super()._write_texts(draft.pop("input_ids"), (config, processors), action, seed, draft)
            texts, steps = out.sequences, out.scores
        samples = len(texts) // orbit.rows
        if settings.num_beams == 1:
            # If transformers notices late that all texts have ended, it takes back the step after the last.
            inside, scores = watch.inside()[:, : len(steps)], torch.stack(tuple(steps), 1).log_softmax(-1)
            if in_own_frames:
                scores = action.target.pull_back(orbit.element_of_row, scores)
        else:
            inside = combination.inside(texts[:, start:])
            scores = self._score(texts, start, (config, processors), action, samples, rows)
        combined = combination.combine(inside, scores, samples, self._log_weights(ids, action, kwargs))
        prompts = self._describe_prompts(action, ids, kwargs.get("attention_mask"), seed or 0, config, kwargs)
        first = texts[:, :start].view(-1, samples, start)[orbit.offsets].flatten(0, 1)
        sequences = torch.cat([first, combination.write(combined, combination.live(inside, samples), prompts)], 1)
        if streamer is not None:
            write_to(streamer, sequences, start)
        return type(out)(sequences=sequences) if settings.returns_dict else sequences

    def _score(
        self,
        sequences: torch.Tensor,
        start: int,
        call: tuple[Any, Any],
        action: TokenPairAction,
        samples: int,
        rows: dict[str, Any],
    ) -> torch.Tensor:
        """Return the log-probabilities of each member at the places of its own text, `(texts, tokens, V)`.

        The texts are written once more, so that processors act on the scores as they did in the beams.
        """
        count = len(sequences) // samples
        each = torch.arange(count, device=sequences.device).repeat_interleave(samples)
        again = repeat_rows(rows, each, count)
        if (allowed := rows.get("prefix_allowed_tokens_fn")) is not None:
            again["prefix_allowed_tokens_fn"] = lambda row, tokens: allowed(row // samples, tokens)
        forced = ForcedTexts(sequences, start)
        limit = {"max_new_tokens": sequences.shape[1] - start, "max_length": None, "max_time": None}
        config, again = as_greedy(call[0] or self.generation_config, {**again, **limit, "stop_strings": None})
        for name, value in limit.items():
            setattr(config, name, value)
        processors = LogitsProcessorList([*(call[1] or []), forced])
        super()._write_texts(again.pop("input_ids"), (config, processors), action, None, again)
        scores = forced.scores()
        missing = sequences.shape[1] - start - scores.shape[1]  # all texts have ended, so nothing more counts
        return torch.nn.functional.pad(scores, (0, 0, 0, missing))

    def _members(
        self, action: TokenPairAction, ids: torch.Tensor, kwargs: dict[str, Any]
    ) -> tuple[Orbit, dict[str, Any]]:
        """Return the distinct members of each source's orbit, and the arguments of a call that decodes each alone."""
        elements = self.select_members(action.source, ids, kwargs.get("attention_mask")).elements
        orbit = Orbit.start(elements).after(action.source.members(elements, ids))
        prompt = kwargs.get("decoder_input_ids")
        if prompt is not None:
            orbit = orbit.after(action.target.members(elements, prompt.to(ids.device)))
        batch = orbit.batch_of_row
        rows = repeat_rows(kwargs, batch, len(ids))
        if (allowed := kwargs.get("prefix_allowed_tokens_fn")) is not None:
            texts = batch.tolist()
            rows["prefix_allowed_tokens_fn"] = lambda row, tokens: allowed(texts[row], tokens)
        return orbit, {**rows, "input_ids": ids[batch], "elements": orbit.element_of_row}

    def _log_weights(self, ids: torch.Tensor, action: TokenPairAction, kwargs: dict[str, Any]) -> torch.Tensor | None:
        """Return the log weights of the members, `(B, K)`, if the method weighs them."""
        if self.method.feature_weights is None:
            return None
        encoded = self.get_encoder()(ids, kwargs.get("attention_mask"), action)
        weights: torch.Tensor = encoded.log_weights
        return weights

    def _check_cached(
        self, cache: OrbitCache, ids: torch.Tensor, settings: GenerationSettings, kwargs: dict[str, Any]
    ) -> None:
        """Refuse targets that do not continue those of a cache, or that may be only the new tokens."""
        target, mask = kwargs.get("decoder_input_ids"), kwargs.get("decoder_attention_mask")
        length = 0 if target is None else target.shape[1]
        if cache.get_seq_length() and (mask is None or mask.shape[1] != length):
            # Without that mask, transformers uses the source's mask, and may read cached tokens twice.
            raise ConfigurationError(
                f"With {CACHE}= pass the whole targets as decoder_input_ids, and a decoder_attention_mask of the same "
                "shape. Cached tokens are not read again."
            )
        cache.check_texts(length, len(ids) * settings.rows)

    def _take_up(self, cache: OrbitCache, elements: torch.Tensor, ids: torch.Tensor) -> None:
        """Keep the cache's element, because the source alone decides it."""

    def _start_length(self, given: Any, kwargs: dict[str, Any]) -> int:
        """Return how many target tokens precede the first decoded one: the start token and those given."""
        prompt = kwargs.get("decoder_input_ids")
        if prompt is None:
            return 1
        sources = [each for each in (given, self.generation_config, self.config) if each is not None]
        named = [kwargs.get("decoder_start_token_id")]
        for name in ("decoder_start_token_id", "bos_token_id"):  # the second stands in for the first
            named += [getattr(each, name, None) for each in sources]
        start = next((token for token in named if token is not None), None)
        return int(prompt.shape[1]) + int(start is not None and not bool((prompt[:, 0] == start).any()))

    def _describe_prompts(
        self,
        action: Any,
        ids: torch.Tensor,
        mask: torch.Tensor | None,
        seed: int | None,
        given: Any,
        kwargs: dict[str, Any],
    ) -> Prompts:
        """Return what the noise depends on: the source, and the target so far."""
        prompt = kwargs.get("decoder_input_ids")
        written = ids[:, :0] if prompt is None else prompt.to(ids.device)
        joint = action.join(ids, written)
        inside = kwargs.get("decoder_attention_mask")
        if mask is not None or inside is not None:
            check_mask(inside, written, "decoder_attention_mask")
            mask = torch.ones_like(ids) if mask is None else mask.to(ids.device)
            inside = torch.ones_like(written) if inside is None else inside.to(ids.device)
            mask = torch.cat([mask, inside], 1)
        length = self._start_length(given, kwargs)
        return Prompts(action.joint, joint, mask, seed, written=action.target, length=length)

    def _prompt_action(self, action: Any) -> TokenAction:
        """The source's."""
        source: TokenAction = action.source
        return source

    def _get_stopping_criteria(self, *args: Any, **kwargs: Any) -> StoppingCriteriaList:
        """Return the criteria of a call; stop watches among them are told what all decide."""
        criteria: StoppingCriteriaList = super()._get_stopping_criteria(*args, **kwargs)  # type: ignore[misc]
        return watch_criteria(criteria)

    def _prepare_static_cache(self, *args: Any, model_kwargs: dict[str, Any], **kwargs: Any) -> Cache:
        """Make a cache of fixed size, which reads the source's length from encoded sources of one member."""
        one = BaseModelOutput(last_hidden_state=model_kwargs["encoder_outputs"].last_hidden_state[:, 0])
        cache: Cache = super()._prepare_static_cache(  # type: ignore[misc]
            *args, model_kwargs={**model_kwargs, "encoder_outputs": one}, **kwargs
        )
        return cache

    def prepare_inputs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the new target tokens of the B texts; the base prepares the inputs of their orbits itself."""
        kwargs.pop("labels", None)  # trainers leave them among the inputs
        inputs = super().prepare_inputs_for_generation(*args, **kwargs)
        return {"decoder_input_ids": inputs.pop("input_ids"), **inputs}


def _with_criteria(rows: dict[str, Any], watch: StopWatch) -> dict[str, Any]:
    """Return the arguments of a call, with a watch added to the user's stopping criteria."""
    return {**rows, "stopping_criteria": StoppingCriteriaList([*(rows.get("stopping_criteria") or []), watch])}
