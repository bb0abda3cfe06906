r"""The texts that a search extends: the prompts' texts, the members of their orbits, and the way between the two.

Both kinds have one interface. Letters: P texts that still grow, G group, T tokens, V vocabulary. Rows are `(P, G)`,
flattened text by text. Tokens are chosen in a *frame*, which processors and stopping criteria see. With
`TokenContexts` it is the frame of the user's text, with `WordContexts` that of each member.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch

from hf_equi.actions import TokenAction, WordAction
from hf_equi.generation.coupled_sampling import NoiseKeys, Prompts
from hf_equi.generation.word_texts import PARTIAL, WordTexts, Written
from hf_equi.groups import DemographicGroup

__all__ = ["SearchContexts", "TokenContexts", "WordContexts"]

_BYTES = 4  # the most bytes of a character


class SearchContexts(ABC):
    """The texts of a search.

    Args:
        group: The group.
        tokenizer: The language model's tokenizer.
        count: The number of texts.
        pad: The token that fills rows.
    """

    frame: torch.Tensor
    """`(P * G, T)` the rows in their frame, with the tokens drafted so far."""

    def __init__(self, group: DemographicGroup, tokenizer: Any, count: int, pad: int) -> None:
        self.group = group
        self.tokenizer = tokenizer
        self.pad = pad
        self.count = count
        self.lengths: torch.Tensor  # (P * G,) drafted tokens of each row, without what follows its end

    @abstractmethod
    def keys(self, samples: int, seed: int | None) -> NoiseKeys:
        """Return the keys of the noise; `samples` texts of each prompt follow each other."""

    @abstractmethod
    def rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask of the members, `(P, G, T)` each, padded on the left. Starts a new draft."""

    @abstractmethod
    def to_frame(self, scores: torch.Tensor) -> torch.Tensor:
        """Return a copy of the scores of the rows in their frame, `(P * G, V)`."""

    @abstractmethod
    def to_member(self, rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens of some rows from their frame to their member, `(N,)`."""

    @abstractmethod
    def accept(self, chosen: torch.Tensor, ended: torch.Tensor) -> None:
        """Extend each text by the draft of row `chosen`, `(P,)`, pulled back; `ended`, `(P,)`: it is the last."""

    @abstractmethod
    def keep(self, texts: torch.Tensor) -> None:
        """Drop all texts but these, `(P',)`."""

    @abstractmethod
    def sequence(self, text: int) -> torch.Tensor:
        """Return the tokens of a text, `(T,)`: the prompt with its padding, then the continuation."""

    @abstractmethod
    def settled(self, text: int) -> int:
        """Return how many first places of `sequence(text)` later rounds do not change."""

    @abstractmethod
    def _member_ids(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the members with their drafts, `(P * G, T)`, and the mask of their contexts, `(P * G, T')`."""

    def extend(self, tokens: torch.Tensor, going: torch.Tensor) -> None:
        """Add a token to each row, `(P * G,)` in their frame; rows that have ended get padding."""
        self.frame = torch.cat([self.frame, tokens.where(going, self.pad)[:, None]], 1)
        self.lengths = self.lengths + going.long()

    def texts(self) -> list[str]:
        """Return the full texts of all members with their drafts."""
        ids, mask = self._member_ids()
        width = mask.shape[1]
        rows = zip(ids.tolist(), mask.bool().tolist(), self.lengths.tolist(), strict=True)
        kept = [
            [token for token, keep in zip(row, keeps, strict=False) if keep] + row[width : width + drafted]
            for row, keeps, drafted in rows
        ]
        texts: list[str] = self.tokenizer.batch_decode(
            kept, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return texts


class TokenContexts(SearchContexts):
    """Texts as token ids, on which the group acts by a permutation of the vocabulary.

    Args:
        action: The group's action on tokens.
        tokenizer: The language model's tokenizer.
        ids: `(P, T)`.
        mask: `(P, T)`, 0 at padding.
        pad: The token that fills rows.
    """

    def __init__(self, action: TokenAction, tokenizer: Any, ids: torch.Tensor, mask: torch.Tensor, pad: int) -> None:
        super().__init__(action.group, tokenizer, len(ids), pad)
        self.action, self.ids, self.mask = action, ids, mask
        self.unused = [0] * len(ids)  # places of each text after its end

    def keys(self, samples: int, seed: int | None) -> NoiseKeys:
        """Make the keys from the smallest member of each prompt's orbit."""
        return Prompts(self.action, self.ids[::samples], self.mask[::samples], seed)

    def rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images of the ids."""
        G = self.group.order
        self.frame = self.ids.repeat_interleave(G, dim=0)
        self.elements = torch.arange(G, device=self.ids.device).repeat(self.count)  # (P * G,)
        self.found = self.action.find_moved(self.elements, torch.arange(len(self.elements), device=self.ids.device))
        self.lengths = torch.zeros_like(self.elements)
        return self.action.orbit(self.ids), self.mask[:, None].expand(-1, G, -1)

    def to_frame(self, scores: torch.Tensor) -> torch.Tensor:
        """Pull the scores back, which changes only moved tokens."""
        moved, framed = self.action.moved, scores.clone()
        if len(moved):
            framed.index_copy_(1, moved, self.action.pull_back_moved(scores.index_select(1, moved), self.found))
        return framed

    def to_member(self, rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """`g(v)`."""
        return self.action.permutations[self.elements[rows], tokens]

    def _member_ids(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.action.apply(self.elements, self.frame), self.mask.repeat_interleave(self.group.order, dim=0)

    def accept(self, chosen: torch.Tensor, ended: torch.Tensor) -> None:
        """Set X ← g*⁻¹Y, which is what stands in the frame."""
        self.ids = self.frame[chosen]
        self.unused = (self.ids.shape[1] - self.mask.shape[1] - self.lengths[chosen]).tolist()
        drafted = self.ids.shape[1] - self.mask.shape[1]
        self.mask = torch.cat([self.mask, self.mask.new_ones(self.count, drafted)], 1)

    def keep(self, texts: torch.Tensor) -> None:
        """Drop rows."""
        self.ids, self.mask, self.count = self.ids[texts], self.mask[texts], len(texts)
        self.unused = [self.unused[text] for text in texts.tolist()]

    def sequence(self, text: int) -> torch.Tensor:
        """Return the ids unchanged, to the end of the text."""
        return self.ids[text, : self.ids.shape[1] - self.unused[text]]

    def settled(self, text: int) -> int:
        """All of them."""
        return len(self.sequence(text))


class WordContexts(WordTexts, SearchContexts):
    """Texts as strings, on which the group acts by whole words; members are tokenised again in every round.

    The text after the last space keeps the tokens in which it was drafted, wherever it does not move. If an incomplete
    word were tokenised again, the model would often no longer read it as part of a word.

    Args:
        action: The group's action on text.
        tokenizer: The language model's tokenizer.
        ids: `(P, T)`.
        mask: `(P, T)`, 0 at padding.
        pad: The token that fills rows.
    """

    per_text = (*WordTexts.per_text, "tails")

    def __init__(self, action: WordAction, tokenizer: Any, ids: torch.Tensor, mask: torch.Tensor, pad: int) -> None:
        SearchContexts.__init__(self, action.group, tokenizer, len(ids), pad)
        WordTexts.__init__(self, action, tokenizer, ids, mask)
        self.tails: list[tuple[str, list[int]]] = [("", [])] * len(ids)  # the last word of each, in its own tokens

    def rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images of the texts, tokenised."""
        orders = range(self.group.order)
        self.members = [self.member(g, text) for text in range(self.count) for g in orders]
        heads = [head for head in self.heads for _ in orders]
        tails = [tail for tail in self.tails for _ in orders]
        rows = [
            head + self._with_tail(text, *tail) for head, text, tail in zip(heads, self.members, tails, strict=True)
        ]
        self.frame, self.mask = self.pad_left(rows, self.pad)
        self.lengths = torch.zeros(len(rows), dtype=torch.long, device=self.device)
        shape = (self.count, self.group.order, self.frame.shape[1])
        return self.frame.view(shape), self.mask.view(shape)

    def to_frame(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores unchanged, because tokens of words that move need not correspond."""
        return scores.clone()

    def to_member(self, rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """As they are."""
        return tokens

    def _member_ids(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.frame, self.mask

    def accept(self, chosen: torch.Tensor, ended: torch.Tensor) -> None:
        """Set X ← g*⁻¹Y as text, with the words of the draft whole."""
        width = self.mask.shape[1]
        for text, row in enumerate(chosen.tolist()):
            context = self.frame[row, :width][self.mask[row].bool()].tolist()
            draft = self.frame[row, width : width + int(self.lengths[row])].tolist()
            written = Written(row % self.group.order, self.members[row], context, draft)
            draft, whole, said = self.take(text, written, bool(ended[text]))
            self.tails[text] = self._tail(context + draft, whole, said)

    def _tail(self, ids: list[int], whole: str, said: int) -> tuple[str, list[int]]:
        """Return what follows the last space among the last `said` characters, with the space, and its tokens."""
        start = len(whole) - len(whole.rsplit(" ", maxsplit=1)[-1]) - 1
        tail = whole[start:].rstrip(PARTIAL)
        if start >= 0 and len(tail) <= said:
            for count in range(1, min(len(ids), len(whole) - start + _BYTES)):
                if self._decode(ids[:-count]) == whole[:start]:
                    return tail, ids[-count:]
        return "", []

    def _with_tail(self, text: str, tail: str, tokens: list[int]) -> list[int]:
        """Return the tokens of a text; its end keeps its drafted tokens if it is unchanged."""
        if tokens and text.endswith(tail):
            return self._encode(text[: len(text) - len(tail)]) + tokens
        return self._encode(text)
