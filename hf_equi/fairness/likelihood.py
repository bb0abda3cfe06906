"""Measures of how differently a language model treats the members of an orbit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from hf_equi.actions import TokenAction, UnitAction
from hf_equi.bases.end_tokens import end_tokens
from hf_equi.bases.offloading import input_device
from hf_equi.checks import check_count
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.whole_words import members_of
from hf_equi.figures import plain_number
from hf_equi.models.causal_lm import EquiLM
from hf_equi.symmetrizers.orbit import distinct_rows

__all__ = ["GroupGap", "group_gap", "group_gaps", "log_likelihood"]

_IGNORED = -100  # the label of places that are not scored, as in transformers


@dataclass(frozen=True)
class GroupGap:
    r"""How much the likelihood of texts changes under a group, in nats a token.

    $$ \Delta_g(X, Y) = \frac{1}{|Y|} \left| \log p(gY \mid gX) - \log p(Y \mid X) \right| $$

    Args:
        largest: The largest, over all texts and all elements but the identity; 0 for a group that has no others.
        mean: The mean over the same.

    Example:
        >>> print(GroupGap(largest=0.25, mean=0.125))
        largest 0.250, mean 0.125
    """

    largest: float
    mean: float

    def __str__(self) -> str:
        return f"largest {plain_number(self.largest)}, mean {plain_number(self.mean)}"


def log_likelihood(
    model: PreTrainedModel,
    sequences: torch.Tensor,
    prompt_length: int,
    attention_mask: torch.Tensor | None = None,
    *,
    eos_token_id: int | Sequence[int] | None = None,
    batch_size: int = 32,
) -> torch.Tensor:
    r"""Return the log-likelihood of continuations, given their prompts.

    $$ \log p(Y \mid X) = \sum_t \log p(y_t \mid X, y_{<t}) $$

    Args:
        model: Any causal language model in evaluation mode: a plain one, whose scores are normalised in float32, or an
            `EquiLM` with any method.
        sequences: `(batch, tokens)` prompts and continuations, as `generate` returns them.
        prompt_length: The number of positions of the prompts, including padding on their left.
        attention_mask: `(batch, tokens)`, or `(batch, prompt_length)` for the prompts alone; 0 at padding. In a
            continuation, everything after the first end-of-text token is padding, whatever the mask says.
        eos_token_id: The end-of-text tokens; by default those of the model's generation config.
        batch_size: The number of texts that go through the model at once.

    Returns:
        `(batch,)` float64 on the CPU, in nats; −inf for a text that a model rules out. An end-of-text token counts as
        a token.

    Raises:
        ConfigurationError: For shapes that do not match, an empty prompt, an empty continuation, or a batch size
            below 1.
    """
    texts = _Texts.read(model, sequences, prompt_length, attention_mask, eos_token_id)
    return _score(model, texts, batch_size)


def group_gap(
    model: PreTrainedModel,
    action: TokenAction,
    sequences: torch.Tensor,
    prompt_length: int,
    attention_mask: torch.Tensor | None = None,
    *,
    eos_token_id: int | Sequence[int] | None = None,
    batch_size: int = 32,
) -> GroupGap:
    r"""Return how much the likelihood of texts changes when a group moves prompt and continuation together.

    If words of several tokens move, a text and its images differ in length, and their likelihoods are those of strings
    of words. A text that ends in the beginning of a word is scored up to there, and one whose prompt ends in it from
    there on: of a word that is not complete, no image is known. The gap is counted by the tokens of the given text.

    Args:
        model: Any causal language model in evaluation mode.
        action: The group on its tokens: `lm.action` of an `EquiLM`, both for that model and for its base.
        sequences: `(batch, tokens)` prompts and continuations, as `generate` returns them.
        prompt_length: The number of positions of the prompts, including padding on their left.
        attention_mask: As in `log_likelihood`.
        eos_token_id: As in `log_likelihood`.
        batch_size: The number of texts that go through the model at once.

    Returns:
        The gap over all texts and all elements but the identity. The end-of-text token counts as a token; the padding
        after it does not.

    Raises:
        ConfigurationError: As in `log_likelihood`.

    Cost: one forward of each distinct member of the orbits.

    Guarantee: at most 1e-5 in float32 for an `EquiLM` with a group that is not relaxed and the method `"equitune"` or
    `"mixture"`; for `"canonical"` if only the identity fixes the prompts. With words of several tokens, for texts
    whose images are read as they were written (`action.reads_back`).
    """
    texts = _Texts.read(model, sequences, prompt_length, attention_mask, eos_token_id)
    gaps = _gaps_by_element(model, action, texts, batch_size)
    return GroupGap(largest=gaps.max().item(), mean=gaps.mean().item()) if gaps.numel() else GroupGap(0.0, 0.0)


def group_gaps(
    model: PreTrainedModel,
    action: TokenAction,
    sequences: torch.Tensor,
    prompt_length: int,
    attention_mask: torch.Tensor | None = None,
    *,
    eos_token_id: int | Sequence[int] | None = None,
    batch_size: int = 32,
) -> torch.Tensor:
    r"""Return, text by text, how much its likelihood changes when a group moves prompt and continuation together.

    $$ \max_{g \in G} \Delta_g(X, Y) $$

    with Δ as in `GroupGap`. `group_gap` is for a whole set of texts.

    Args:
        model: As in `group_gap`.
        action: As in `group_gap`.
        sequences: As in `group_gap`.
        prompt_length: As in `group_gap`.
        attention_mask: As in `log_likelihood`.
        eos_token_id: As in `log_likelihood`.
        batch_size: As in `group_gap`.

    Returns:
        `(batch,)` float64 on the CPU, in nats a token; 0 if the group has only the identity.

    Raises:
        ConfigurationError: As in `log_likelihood`.

    Cost: one forward of each distinct member of the orbits.
    """
    texts = _Texts.read(model, sequences, prompt_length, attention_mask, eos_token_id)
    gaps = _gaps_by_element(model, action, texts, batch_size)
    return gaps.amax(-1) if gaps.numel() else torch.zeros(len(gaps), dtype=torch.float64)


def _gaps_by_element(model: PreTrainedModel, action: TokenAction, texts: _Texts, batch_size: int) -> torch.Tensor:
    """Return the gap of each text under each element but the identity, `(batch, group - 1)` float64."""
    action = action.to(texts.ids.device)
    order = action.group.order
    if order == 1:
        return torch.zeros(len(texts.ids), 0, dtype=torch.float64)
    orbit = texts.orbit(action)
    members, place = orbit.distinct()
    scores = _score(model, members, batch_size)[place].view(len(texts.ids), order)
    others, own = scores[:, 1:], scores[:, :1]
    gaps = (others - own).abs().masked_fill(others == own, 0.0)  # what is ruled out on both sides is alike
    return gaps / orbit.counts.view(len(texts.ids), order)[:, :1].clamp(min=1)


@dataclass(frozen=True)
class _Texts:
    """Texts with all padding on the right, so that no model family needs to correct positions.

    Args:
        ids: `(batch, tokens)`.
        mask: `(batch, tokens)` bool.
        prompts: `(batch,)` tokens of each prompt.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    prompts: torch.Tensor

    @classmethod
    def read(
        cls,
        model: PreTrainedModel,
        sequences: torch.Tensor,
        prompt_length: int,
        attention_mask: torch.Tensor | None,
        eos_token_id: int | Sequence[int] | None,
    ) -> _Texts:
        if sequences.dim() != 2 or not 0 < prompt_length < sequences.shape[1]:
            raise ConfigurationError(
                "sequences must be (batch, tokens) with at least one position of prompt and one of continuation; "
                f"received shape {tuple(sequences.shape)} and prompt_length={prompt_length}. Pass the whole output of "
                "generate and the width of its input."
            )
        own = getattr(model.generation_config, "eos_token_id", None)
        ends = end_tokens(own if eos_token_id is None else eos_token_id)
        mask = _read_mask(sequences, prompt_length, attention_mask, ends)
        prompts = mask[:, :prompt_length].sum(-1)
        empty = (prompts == 0) | (mask[:, prompt_length:].sum(-1) == 0)
        if empty.any():
            raise ConfigurationError(
                f"In row {int(empty.int().argmax())}, attention_mask keeps no token of the prompt, or none of the "
                "continuation: a continuation is scored given a prompt. Leave the row out, or start it with a BOS "
                "token."
            )
        order = mask.int().argsort(dim=-1, descending=True, stable=True)
        return cls(sequences.gather(-1, order), mask.gather(-1, order), prompts)

    @property
    def counts(self) -> torch.Tensor:
        """Return the number of tokens of each continuation, `(batch,)` on the CPU."""
        return (self.mask.sum(-1) - self.prompts).cpu()

    def orbit(self, action: TokenAction) -> _Texts:
        """Return all members, text by text: `(batch * group, tokens)`."""
        if isinstance(action, UnitAction):
            rows = zip(self.ids.tolist(), self.mask.sum(-1).tolist(), self.prompts.tolist(), strict=True)
            return _Texts.padded(
                [each for ids, size, prompt in rows for each in members_of(action, ids[:size], prompt)]
            )
        repeated = self[torch.arange(len(self.ids), device=self.ids.device).repeat_interleave(action.group.order)]
        return _Texts(action.orbit(self.ids).flatten(0, 1), repeated.mask, repeated.prompts)

    @classmethod
    def padded(cls, texts: Sequence[tuple[list[int], list[int]]]) -> _Texts:
        """Return texts of any length, each a prompt and its continuation."""
        sizes = torch.tensor([len(prompt) + len(rest) for prompt, rest in texts])
        width = int(sizes.max())
        ids = [[*prompt, *rest, *[0] * (width - len(prompt) - len(rest))] for prompt, rest in texts]
        mask = torch.arange(width) < sizes[:, None]
        return cls(torch.tensor(ids), mask, torch.tensor([len(prompt) for prompt, _ in texts]))

    def distinct(self) -> tuple[_Texts, torch.Tensor]:
        """Return the distinct texts, and the place of each text among them, on the CPU."""
        first, place = distinct_rows(torch.cat([self.prompts[:, None], self.mask.long(), self.ids], 1))
        return self[first], place.cpu()

    def __getitem__(self, rows: torch.Tensor | slice) -> _Texts:
        return _Texts(self.ids[rows], self.mask[rows], self.prompts[rows])


def _read_mask(
    sequences: torch.Tensor, prompt_length: int, attention_mask: torch.Tensor | None, ends: tuple[int, ...]
) -> torch.Tensor:
    """Return a mask that is true at all tokens of prompts and continuations, `(batch, tokens)` bool."""
    mask = torch.ones_like(sequences, dtype=torch.bool)
    if attention_mask is not None:
        if tuple(attention_mask.shape) not in (tuple(sequences.shape), (len(sequences), prompt_length)):
            raise ConfigurationError(
                f"attention_mask must have the shape of the sequences, {tuple(sequences.shape)}, or of the prompts, "
                f"{(len(sequences), prompt_length)}; received {tuple(attention_mask.shape)}."
            )
        mask[:, : attention_mask.shape[1]] = attention_mask.to(sequences.device).bool()
    is_end = torch.isin(sequences[:, prompt_length:], torch.tensor(ends, device=sequences.device))
    ended = is_end.cumsum(-1) - is_end.long()  # end-of-text tokens before each place
    mask[:, prompt_length:] &= ended == 0
    return mask


@torch.no_grad()
def _score(model: PreTrainedModel, texts: _Texts, batch_size: int) -> torch.Tensor:
    check_count("batch_size", batch_size, "number of texts")
    starts = range(0, len(texts.ids), batch_size)
    return torch.cat([_score_batch(model, texts[start : start + batch_size]) for start in starts])


def _score_batch(model: PreTrainedModel, texts: _Texts) -> torch.Tensor:
    length = int(texts.mask.sum(-1).max())
    device = input_device(model)
    ids, mask = texts.ids[:, :length].to(device), texts.mask[:, :length].to(device)
    in_prompt = torch.arange(length, device=device) < texts.prompts.to(device)[:, None]
    labels = ids.masked_fill(in_prompt | ~mask, _IGNORED)
    # Labels tell the method "mixture" where the prompt ends. Given its action, a model takes the tokens as they are.
    extra = {"labels": labels, "group": model.action} if isinstance(model, EquiLM) else {}
    logits = model(input_ids=ids, attention_mask=mask.long(), use_cache=False, **extra).logits
    first = int(texts.prompts.min())
    logits = logits[:, first - 1 : -1]
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
    targets = labels[:, first:]
    taken: torch.Tensor = scores.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    # Sum in float64: rounding must not add to a gap that may be as small as 1e-6.
    return taken.masked_fill(targets == _IGNORED, 0.0).to("cpu", torch.float64).sum(-1)
