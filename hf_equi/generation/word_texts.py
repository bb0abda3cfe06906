"""Prompts as strings, whose members are tokenised again, and the continuations that members write, mapped back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from hf_equi.actions import WordAction
from hf_equi.generation.coupled_sampling import NoiseKeys
from hf_equi.groups.forms import composed

__all__ = ["PARTIAL", "SettledTokens", "WordTexts", "Written"]

PARTIAL = "\ufffd"
"""The decoding of the first bytes of a character."""


@dataclass(frozen=True)
class Written:
    """What the base wrote for a member of a text.

    Args:
        element: The element g of the member.
        member: The member that the base read, as a string.
        context: The tokens that the base read.
        draft: The tokens that the base wrote after them.
    """

    element: int
    member: str
    context: list[int]
    draft: list[int]


class WordTexts:
    """Texts as strings, on which a group acts by whole words.

    A prompt moves as if it stood alone. In the text after it, the words that begin there move. Special tokens at the
    start of a prompt are kept. Others are read as the tokenizer reads them in text.

    Args:
        action: The group's action on text.
        tokenizer: The language model's tokenizer.
        ids: `(P, T)` the prompts.
        mask: `(P, T)`, 0 at padding.
    """

    per_text: ClassVar[tuple[str, ...]] = ("prompt_kept", "heads", "prompts", "said", "endings")
    """The lists with one entry for each text."""

    def __init__(self, action: WordAction, tokenizer: Any, ids: torch.Tensor, mask: torch.Tensor) -> None:
        self.action, self.tokenizer, self.prompt_ids, self.device = action, tokenizer, ids, ids.device
        self.count = len(ids)
        self.special = set(tokenizer.all_special_ids)
        kept: list[list[int]] = [row[keep].tolist() for row, keep in zip(ids, mask.bool(), strict=True)]
        heads = [next((n for n, token in enumerate(row) if token not in self.special), len(row)) for row in kept]
        self.prompt_kept = kept
        self.heads = [row[:n] for row, n in zip(kept, heads, strict=True)]
        self.prompts = [composed(self._decode(row[n:])) for row, n in zip(kept, heads, strict=True)]
        self.said = [""] * len(ids)  # the continuations
        self.endings: list[list[int]] = [[] for _ in range(len(ids))]
        words = (word for row in action.group.forms() for word in row.words)
        self.held = max((len(word.split()) for word in words), default=1)  # words of the longest phrase

    def keys(self, samples: int, seed: int | None) -> NoiseKeys:
        """Make the keys from the smallest member of each prompt's orbit, as text."""
        return NoiseKeys.of_texts(self.action, self.prompts[::samples], seed, self.device)

    def member(self, element: int, text: int) -> str:
        """Return the image of a text under an element."""
        prompt = self.prompts[text]
        return self.action.apply(element, prompt + self.said[text], len(prompt))

    def encoded(self, member: str, text: int) -> list[int]:
        """Return the tokens of a member of a text, after the special tokens that its prompt begins with."""
        return self.heads[text] + self._encode(member)

    def pad_left(self, rows: Sequence[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return rows as one tensor, padded on the left, and its mask, both `(R, T)`."""
        width = max(map(len, rows))
        ids = [[pad] * (width - len(row)) + row for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        return torch.tensor(ids, device=self.device), torch.tensor(mask, device=self.device)

    def take(self, text: int, written: Written, ended: bool) -> tuple[list[int], str, int]:
        """Set the continuation of a text to what a member wrote, mapped back.

        Args:
            text: The number of the text.
            written: What was written.
            ended: Whether it is the end of the text.

        Returns:
            The draft without the token that ends it; what the base read and wrote, decoded; and how many of its
            characters follow the prompt.
        """
        draft, context, prompt = written.draft, written.context, self.prompts[text]
        self.endings[text] = draft[-1:] if ended and draft and draft[-1] in self.special else []
        draft = draft[: len(draft) - len(self.endings[text])]
        # A character is not valid text until its last bytes have come.
        before, whole = self._decode(context).rstrip(PARTIAL), self._decode(context + draft)
        member = written.member + whole[len(before) :].rstrip(PARTIAL)
        boundary = len(self.action.apply(written.element, prompt))
        self.said[text] = self.action.invert(written.element, member, boundary)[len(prompt) :]
        return draft, whole, len(member) - boundary

    def keep(self, texts: torch.Tensor) -> None:
        """Drop all texts but these, `(P',)`."""
        for name in self.per_text:
            kept = getattr(self, name)
            setattr(self, name, [kept[text] for text in texts.tolist()])
        self.prompt_ids, self.count = self.prompt_ids[texts], len(texts)

    def sequence(self, text: int) -> torch.Tensor:
        """Return the prompt's own tokens, then those of the continuation, `(T,)`."""
        said, kept = self.said[text], self.prompt_kept[text]
        target = self._decode(kept) + said
        # After the prompt; otherwise as the tokenizer begins a text; otherwise after a character that no word begins
        # with, where the tokenizer puts no mark before the first word.
        tries = [self._after(self.prompts[text], said), self._encode(said), self._after("\n", said)]
        after = next((ids for ids in tries if ids is not None and self._decode(kept + ids) == target), tries[1])
        added = torch.tensor((after or []) + self.endings[text], dtype=torch.long, device=self.device)
        return torch.cat([self.prompt_ids[text], added])

    def settled(self, text: int) -> int:
        """Return how many first places of `sequence(text)` stay as they are when the text grows.

        The last words are left out, as many as the longest phrase has: they may still become a phrase that moves.
        """
        kept = self.prompt_kept[text]
        pieces = self.said[text].rsplit(" ", self.held)
        settled = len(pieces[0]) if len(pieces) > self.held else 0
        start = self.prompt_ids.shape[1]
        added = self.sequence(text)[start:].tolist()
        limit = len(self._decode(kept)) + settled
        count = len(added)
        while count and len(self._decode(kept + added[:count])) > limit:
            count -= 1
        return start + count

    def _after(self, before: str, text: str) -> list[int] | None:
        """Return the tokens of a text after another one; `None` if the two cannot be separated."""
        alone, whole = self._encode(before), self._encode(before + text)
        return whole[len(alone) :] if whole[: len(alone)] == alone else None

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


class SettledTokens:
    """Gives a streamer the tokens of the only text of a call, once no later word can change them.

    Args:
        streamer: The streamer.
        texts: The texts, with `sequence` and `settled`.
    """

    def __init__(self, streamer: Any, texts: Any) -> None:
        self.streamer, self.texts = streamer, texts
        self.shown = len(texts.sequence(0))

    def show(self, ended: bool) -> None:
        """Pass on what has settled since the last call; with `ended`, all that is left."""
        tokens = self.texts.sequence(0)
        tokens = tokens if ended else tokens[: self.texts.settled(0)]
        if len(tokens) > self.shown:
            self.streamer.put(tokens[self.shown :].cpu())
            self.shown = len(tokens)
