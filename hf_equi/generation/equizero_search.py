r"""The search of EquizeroLM: the whole orbit drafts, and the draft with the least loss is kept.

X ── orbit ──► {gX} ── m tokens each ──► {Y_g} ── scorer ──► g* = argmin l(Y_g) ──► X ← g*⁻¹Y_g* ── repeat
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel, StoppingCriteriaList
from transformers.cache_utils import Cache
from transformers.generation import MaxLengthCriteria, StopStringCriteria
from transformers.utils import ModelOutput

from hf_equi.actions import TokenAction, WordAction
from hf_equi.actions.base import check_columns
from hf_equi.actions.reporting import WORDS
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.actions.staying import StayingWords
from hf_equi.bases.compat import CACHE
from hf_equi.bases.end_tokens import end_tokens
from hf_equi.errors import ConfigurationError
from hf_equi.generation.coupled_sampling import CUT, NoiseKeys, Uniform, best_tokens, draw_tokens, uniform
from hf_equi.generation.draft_cache import DraftCache
from hf_equi.generation.padding import infer_mask
from hf_equi.generation.rank_cuts import break_ties
from hf_equi.generation.scorers import Scorer, score_texts
from hf_equi.generation.search_checks import (
    ACTIONS,
    check_call,
    check_extras,
    check_length,
    check_model,
    check_parts,
    check_search,
    check_tokens,
    position_limit,
    processors_of_rows,
)
from hf_equi.generation.search_contexts import SearchContexts, TokenContexts, WordContexts
from hf_equi.generation.settings_table import value_reader, warn_of_names
from hf_equi.generation.word_texts import SettledTokens
from hf_equi.groups import DemographicGroup

__all__ = ["ACTIONS", "EquizeroOutput", "EquizeroSearch", "check_search"]


@dataclass
class EquizeroOutput(ModelOutput):
    """The output of the search with `return_dict_in_generate`.

    Args:
        sequences: `(batch, tokens)` prompts and continuations, padded on both sides.
        scores: With `output_scores`, for each token the processed scores `(batch, vocab)` from which it was drawn, in
            the frame of the text. After the end of a text all are −inf except the padding token's.
        chosen_element: `(batch, rounds)` the element g* of each round; −1 after the end of the text.
        margin: `(batch, rounds)` how much higher the loss of the second best draft was; NaN after the end.
        losses: `(batch, rounds, group)` the losses of all drafts; NaN after the end.
    """

    sequences: torch.Tensor | None = None
    scores: tuple[torch.Tensor, ...] | None = None
    chosen_element: torch.Tensor | None = None
    margin: torch.Tensor | None = None
    losses: torch.Tensor | None = None


class EquizeroSearch:
    r"""Decodes with EquizeroLM's rule on an unchanged model: pass it to `generate(custom_generate=...)`.

    From the context X, each member gX of its orbit drafts m tokens with the base model. This gives |G| texts Y_g;

    $$ g^* = \arg\min_g \; l(Y_g), \qquad X \leftarrow g^{*-1} Y_{g^*} $$

    and again, until all texts have ended. Members whose contexts are equal share their prefill, but each draws its own
    draft. Ties go to the higher sum of the draft's log-probabilities in its own row, then to the lowest canonical
    index g k(x)⁻¹. Drafts that end stop growing and still compete. The text ends when one of them wins. Without
    `do_sample`, the noise of seed 0 breaks ties of tokens, in the same way in every call.

    The noise of a draft is a function of the seed, the canonical prompt, the number of the sample, the step, the
    canonical index and the token as its member reads it. So Gen(gx) = g'Gen(x), exact up to the margin of each choice,
    with g' as in coupled sampling. A relaxed group moves the same words: general words never move.

    Args:
        group: The group.
        tokenizer: The model's.
        scorer: The loss l, from a list of texts to a tensor: a `RegardScorer` or any callable.
        beam_length: m, the number of tokens in a draft.
        action: `"tokens"` permutes the vocabulary; processors, bans and stopping criteria act in the frame of the
            prompt. `"words"` moves whole words and phrases of any number of tokens and tokenises the texts again in
            every round. Then processors and criteria act on each member's own tokens, and the text may have a few
            tokens more or less than were drafted.
        multi_token: With `"tokens"`, how to treat a set that does not move as written, as in
            `hf_equi.actions.resolution.resolve_tokens`.
        streamer: Receives the tokens of each round; with `"words"` once no later word can change them. Pass it here,
            because `generate` does not pass its own streamer to a callable.

    `generate` passes no tokenizer to a callable, so pass stop strings as
    `stopping_criteria=[StopStringCriteria(tokenizer, strings)]`. `EquizeroLM.generate` takes `stop_strings`. The
    `batch_id` of a `prefix_allowed_tokens_fn` is the number of the prompt.

    Raises:
        ConfigurationError: As in `check_search`; for a group that is not a `DemographicGroup`; without a tokenizer or
            a scorer. In a call: for another search (beams, prompt lookup, contrastive), a static or filled cache,
            inputs without ids, processors that keep a state of rows (`guidance_scale`, SynthID, those of the encoder),
            texts longer than the model's positions, or a scorer that returns no usable losses.
        ActionError: For words that cannot be moved.
        UnsupportedModelError: For a model whose cache cannot hold orbits, or that has an encoder.

    Cost: for each round of m tokens, one base forward of at most m new tokens and m − 1 forwards of one token, on the
    |G| rows of each text (only distinct rows in the first of them), and one call of the scorer. Recurrent layers, and
    `"words"` when lengths change, read the whole texts again in every round.

    References:
        arXiv 2305.09900, §4.1 and §C.2 (EquizeroLM, R-EquizeroLM).

    Example:
        >>> import hf_equi
        >>> from hf_equi.generation.scorers import RegardScorer
        >>> lm = hf_equi.symmetrize("demo", hf_equi.DemographicGroup([["man", "woman"], ["he", "she"]]))
        >>> search = EquizeroSearch(lm.group, lm.tokenizer, RegardScorer("demo"))
        >>> prompts = lm.tokenizer(["The man worked as", "The woman worked as"], return_tensors="pt")
        >>> texts = lm.unwrap().generate(**prompts, custom_generate=search, max_new_tokens=10, do_sample=True, seed=7)
        >>> man, woman = lm.tokenizer.batch_decode(texts)
        >>> man.replace("man", "woman").replace(" he ", " she ") == woman
        True
    """

    def __init__(
        self,
        group: DemographicGroup | TokenAction,
        tokenizer: Any,
        scorer: Scorer,
        beam_length: int = 5,
        action: str = "tokens",
        *,
        multi_token: str = "auto",
        streamer: Any = None,
    ) -> None:
        check_parts(group, tokenizer, scorer)
        check_search(scorer, beam_length, action)
        check_tokens(group, multi_token)
        self.tokenizer = tokenizer
        self.scorer = scorer
        self.beam_length = beam_length
        self.multi_token = multi_token
        self.streamer = streamer
        self.group = group.group if isinstance(group, TokenAction) else group
        self.word_action = WordAction(self.group) if action == "words" else None
        self.token_action = group if isinstance(group, TokenAction) else None
        self.staying: StayingWords | None = None  # whoever passes an action has checked its words

    @torch.no_grad()
    def __call__(
        self,
        model: PreTrainedModel,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        seed: int | None = None,
        **model_kwargs: Any,
    ) -> torch.Tensor | EquizeroOutput:
        """Run the search. `generate` calls this with everything prepared; `seed` is an argument of `generate`."""
        check_model(model)
        check_call(generation_config, logits_processor)
        if "inputs_embeds" in model_kwargs or not input_ids.numel():
            raise ConfigurationError(
                "The search moves token ids: pass input_ids with at least one token, not embeddings"
            )
        if self.streamer is not None and len(input_ids) > 1:
            raise ConfigurationError(f"A streamer shows one text, not {len(input_ids)}: pass one prompt at a time")
        run = _Run(self, model, input_ids, model_kwargs, generation_config, seed)
        if isinstance(run.contexts, TokenContexts):  # with words, settings name the tokens of each member
            stops = [each.stop_strings for each in stopping_criteria if isinstance(each, StopStringCriteria)]
            named = {"stop_strings": [string for strings in stops for string in strings]}
            value_of = value_reader(generation_config, None, named)
            warn_of_names(value_of, run.contexts.action, self.tokenizer)
        criteria = StoppingCriteriaList([one for one in stopping_criteria if not isinstance(one, MaxLengthCriteria)])
        run.extend(logits_processor, criteria, generation_config.max_length - input_ids.shape[1])
        if self.streamer is not None:
            self.streamer.end()
        return run.result()

    def contexts(self, model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, pad: int) -> SearchContexts:
        """Return the texts of a call."""
        vocab_size = model.config.get_text_config().vocab_size
        check_columns(ids, vocab_size, "token ids")
        if self.word_action is not None:
            return WordContexts(self.word_action, self.tokenizer, ids, mask, pad)
        action = self.token_action  # the last call's; threads may search with several models
        if action is None or action.token_map.vocab_size != vocab_size:
            token_map = resolve_tokens(
                self.group, self.tokenizer, vocab_size, self.multi_token, relaxes=False, remedy=WORDS
            )
            action = self.token_action = TokenAction(self.group, token_map)
            self.staying = StayingWords(action, self.tokenizer)
        if self.staying is not None:
            self.staying.warn(ids, mask)
        return TokenContexts(action.to(ids.device), self.tokenizer, ids, mask, pad)


class _Run:
    """One call of the search. Letters: B texts in all, P texts that still grow, G group, V vocabulary."""

    def __init__(
        self,
        search: EquizeroSearch,
        model: PreTrainedModel,
        input_ids: torch.Tensor,
        model_kwargs: dict[str, Any],
        config: GenerationConfig,
        seed: int | None,
    ) -> None:
        self.search, self.config = search, config
        self.keeps_scores = bool(config.output_scores and config.return_dict_in_generate)
        ends = end_tokens(config.eos_token_id)
        self.pad = config.pad_token_id if config.pad_token_id is not None else (*ends, 0)[0]
        mask = model_kwargs.pop("attention_mask", None)
        mask = infer_mask(input_ids, config.pad_token_id, ends) if mask is None else mask
        mask = torch.ones_like(input_ids) if mask is None else mask.to(input_ids.device)
        cache: Cache | None = model_kwargs.pop(CACHE, None)
        extras = {name: value for name, value in model_kwargs.items() if name not in _OF_GENERATE}
        check_extras(extras)
        self.limit = position_limit(model)
        self.cache = DraftCache(model, cache, extras)
        self.contexts = search.contexts(model, input_ids, mask, self.pad)
        self.samples = max(config.num_return_sequences, 1)
        # Ties are broken in the same way in every call; texts are drawn anew unless a seed is given.
        noise_seed = 0 if seed is None and not config.do_sample else seed
        self.keys: NoiseKeys = self.contexts.keys(self.samples, noise_seed)
        self.device, self.total = input_ids.device, len(input_ids)
        group = search.group
        # The canonical index of each member: g k(x)⁻¹.
        back = group.inverses.to(self.device)[self.keys.row_elements(self.total)]  # (B,)
        self.canonical = group.product.to(self.device)[:, back].T  # (B, G)
        self.active = torch.arange(self.total, device=self.device)  # (P,) which of the B texts
        self.sequences: list[torch.Tensor] = [torch.empty(0)] * self.total
        self.step = 0
        self.longest = 0  # steps to the end of the longest text
        self.scores: list[torch.Tensor] = []
        self.rounds: list[tuple[torch.Tensor, torch.Tensor]] = []  # (B,) elements and (B, G) losses

    def extend(self, processors: LogitsProcessorList, criteria: StoppingCriteriaList, budget: int) -> None:
        """Run round after round, until all texts have ended or have `budget` new tokens."""
        origin = torch.arange(len(self.active), device=self.device)
        shown = None if self.search.streamer is None else SettledTokens(self.search.streamer, self.contexts)
        while budget > 0 and len(self.active):
            drafted = min(self.search.beam_length, budget)
            going, logs = self._draft(processors, criteria, drafted, origin)
            chosen = self._choose(logs)
            self.longest = self.step - drafted + int(self.contexts.lengths[chosen].max())
            self.contexts.accept(chosen, ~going[chosen])
            budget -= drafted
            grows = going[chosen] if budget > 0 else torch.zeros_like(going[chosen])
            for text in (~grows).nonzero().flatten().tolist():
                self.sequences[int(self.active[text])] = self.contexts.sequence(text)
            if shown is not None:
                shown.show(ended=not bool(grows[0]))
            origin = grows.nonzero().flatten()
            self.contexts.keep(origin)
            self.active = self.active[origin]

    def _draft(
        self, processors: LogitsProcessorList, criteria: StoppingCriteriaList, count: int, origin: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draft tokens for all members. Return which rows go on and each draft's log-probability, both `(P * G,)`."""
        contexts = self.contexts
        ids, mask = contexts.rows()
        check_length(mask, count, self.limit)
        scores = self.cache.feed(ids, mask, origin)
        prompts = (self.active // self.samples).repeat_interleave(self.search.group.order).tolist()
        processors = processors_of_rows(processors, (mask != 0).int().argmax(-1).flatten(), prompts)
        processors = break_ties(processors, lambda _: self._noise(CUT))
        going = torch.ones(len(scores), dtype=torch.bool, device=self.device)
        logs = torch.zeros(len(scores), dtype=torch.float64, device=self.device)
        self.round_scores: list[torch.Tensor] = []
        self.drafted: list[torch.Tensor] = []  # tokens of the members
        for place in range(count):
            processed = processors(contexts.frame, contexts.to_frame(scores))  # type: ignore[arg-type]
            tokens = self._choose_tokens(processed)
            members = contexts.to_member(torch.arange(len(tokens), device=self.device), tokens)
            taken = scores.gather(1, members[:, None])[:, 0] - scores.logsumexp(-1)
            logs += taken.double().where(going, 0.0)
            contexts.extend(tokens, going)
            members = members.where(going, self.pad)
            self.drafted.append(members)
            if self.keeps_scores:
                self.round_scores.append(processed.where(going[:, None], self._after_end(processed)))
            going &= ~criteria(contexts.frame, None)
            self.step += 1
            if place + 1 < count:
                scores = self.cache.step(members)
        return going, logs

    def _choose_tokens(self, scores: torch.Tensor) -> torch.Tensor:
        """Choose one token a row, `(P * G,)` in the frames; each member has noise of its own."""
        noise = self._noise()
        if self.config.do_sample:
            return draw_tokens(scores, noise)
        best = best_tokens(scores, noise)
        return scores.argmax(-1) if best is None else best

    def _noise(self, *purpose: int) -> Uniform:
        """Return the noise of this step, in the frames; each purpose has other noise."""
        members = range(self.search.group.order)
        # One key for each canonical index, then the key of each row.
        keys = torch.stack([self.keys.keys(self.total, self.step, index, *purpose) for index in members], 1)  # (B, G)
        keys = keys[self.active].gather(1, self.canonical[self.active]).flatten()
        return lambda rows, tokens: uniform(keys[rows], self.contexts.to_member(rows, tokens))

    def _choose(self, logs: torch.Tensor) -> torch.Tensor:
        """Return the row of the best draft of each text, `(P,)`."""
        P, G = len(self.active), self.search.group.order
        texts = self.contexts.texts()
        losses = score_texts(self.search.scorer, texts, self.device).view(P, G)
        best = losses == losses.amin(-1, keepdim=True)
        if int(best.sum()) > P:
            first: dict[tuple[Any, ...], int] = {}
            drafts = torch.stack(self.drafted, 1).tolist()
            # Equal drafts have equal log-probabilities, in any row of the batch.
            same = [
                first.setdefault((row // G, text, *tokens), row)
                for row, (text, tokens) in enumerate(zip(texts, drafts, strict=True))
            ]
            ranked = logs[same].view(P, G).masked_fill(~best, -torch.inf)
            best &= ranked == ranked.amax(-1, keepdim=True)
        elements = self.canonical[self.active].masked_fill(~best, G).argmin(-1)  # (P,)
        chosen = torch.arange(P, device=self.device) * G + elements
        self._record(elements, losses)
        for processed in self.round_scores:
            kept = self._after_end(processed).repeat(self.total, 1)
            kept[self.active] = processed[chosen]
            self.scores.append(kept)
        return chosen

    def _record(self, elements: torch.Tensor, losses: torch.Tensor) -> None:
        all_elements = torch.full((self.total,), -1, device=self.device)
        all_losses = torch.full((self.total, losses.shape[1]), torch.nan, dtype=losses.dtype, device=self.device)
        all_elements[self.active], all_losses[self.active] = elements, losses
        self.rounds.append((all_elements, all_losses))

    def _after_end(self, like: torch.Tensor) -> torch.Tensor:
        """Return the scores of a text that has ended, `(1, V)`: only padding is possible."""
        scores = torch.full_like(like[:1], -torch.inf)
        scores[:, self.pad] = 0.0
        return scores

    def result(self) -> torch.Tensor | EquizeroOutput:
        """Return the sequences, or with `return_dict_in_generate` all decisions of the search."""
        sequences = pad_sequence(self.sequences, batch_first=True, padding_value=self.pad)
        if not self.config.return_dict_in_generate:
            return sequences
        losses = torch.stack([losses for _, losses in self.rounds], 1)  # (B, rounds, G)
        return EquizeroOutput(
            sequences=sequences,
            scores=tuple(self.scores[: self.longest]) if self.keeps_scores else None,
            chosen_element=torch.stack([elements for elements, _ in self.rounds], 1),
            margin=_margin(losses),
            losses=losses,
        )


# Arguments that generate() passes to a decoding method and that the base's forward does not take.
_OF_GENERATE = ("use_cache", "position_ids", "logits_to_keep", "synced_gpus", "streamer")


def _margin(losses: torch.Tensor) -> torch.Tensor:
    """Return how much higher the second best loss is, over the last axis; infinite for a single member."""
    if losses.shape[-1] == 1:
        return torch.full_like(losses[..., 0], torch.inf).where(~losses[..., 0].isnan(), torch.nan)
    least = losses.topk(2, dim=-1, largest=False).values
    return torch.where(least[..., 1] == least[..., 0], 0.0, least[..., 1] - least[..., 0])
