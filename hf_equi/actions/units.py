"""A demographic group on units: the tokens of a vocabulary, and words of several tokens that move as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import ClassVar

import torch

from hf_equi.actions._checksums import checksums, position_weights
from hf_equi.actions._elements import checked_element, read_elements
from hf_equi.actions.token_maps import TokenMap
from hf_equi.actions.tokens import TokenAction
from hf_equi.errors import ActionError
from hf_equi.groups import DemographicGroup

__all__ = ["FormNode", "UnitAction", "token_action"]


def token_action(
    group: DemographicGroup, token_map: TokenMap, device: torch.device | str | None = "cpu"
) -> TokenAction:
    """Return how a group moves the tokens of a map: a `UnitAction` if some of its words have several tokens.

    Args:
        group: The group.
        token_map: The tokens that stand for its words (see `hf_equi.actions.resolution.resolve_tokens`).
        device: The device of the tables.

    Raises:
        ActionError: If the map does not fit the group.

    Example:
        >>> from hf_equi.groups import DemographicGroup
        >>> group = DemographicGroup([["grandson", "granddaughter"]])
        >>> token_action(group, TokenMap(4, sets=(((0, 1),),)))
        TokenAction(DemographicGroup([grandson, granddaughter] × 1 set), 2 of 4 tokens moved)
        >>> token_action(group, TokenMap(4, sets=((),), composed=((((0,), (1, 2)),),)))
        UnitAction(DemographicGroup([grandson, granddaughter] × 1 set), 1 of 4 tokens and 1 of 1 words moved)
    """
    return (UnitAction if token_map.forms else TokenAction)(group, token_map, device)


class FormNode(dict[int, "FormNode"]):
    """A beginning of words of several tokens: each token that goes on leads to the next node.

    Attributes:
        form: The unit of the word that ends here; `None` if none does.
    """

    form: int | None = None

    def after(self, tokens: Iterable[int]) -> FormNode | None:
        """Return the node after some tokens; `None` if no word goes on like this."""
        node = self
        for token in tokens:
            if (found := node.get(token)) is None:
                return None
            node = found
        return node

    def add(self, tokens: Iterable[int], form: int) -> None:
        """Add a word."""
        node = self
        for token in tokens:
            node = node.setdefault(token, FormNode())
        node.form = form

    def read(self, tokens: Sequence[int]) -> list[int]:
        """Return a text with its words of several tokens as units: from left to right, the longest first."""
        units, start = [], 0
        while start < len(tokens):
            node = self.get(tokens[start])
            unit, stop = tokens[start], start + 1
            end = stop
            while node is not None:
                if node.form is not None:
                    unit, stop = node.form, end
                node = node.get(tokens[end]) if end < len(tokens) else None
                end += 1
            units.append(unit)
            start = stop
        return units


class UnitAction(TokenAction):
    r"""A group on texts of tokens in which words of several tokens move as one.

    Units are the tokens $0 \dots V-1$ and the words of several tokens $V \dots V+|C|-1$. A text is read from left to
    right, the longest word first; its units are permuted, and written out as tokens.

    $$ gx = \text{write}(g \cdot \text{read}(x)), \qquad (g^{-1} y)[u] = y[g(u)] $$

    A word that begins another word is allowed, also one of another set: the longer one is read where its tokens stand.
    So pieces that meet may read as a word that nobody wrote. The equations of an action hold for texts that read back:
    those for which $\text{read}(\text{write}(g \cdot \text{read}(x))) = g \cdot \text{read}(x)$ for every g.

    Members of an orbit may differ in length. `apply`, `members` and `orbit` return tensors, so they refuse such
    members; `member` and `members_of` return lists.

    Args:
        group: The group that acts.
        token_map: The tokens that stand for its words, with composed sets or lists.

    Attributes:
        forms: The tokens of the units $V, V+1, \dots$
        trie: The words of several tokens, by their tokens: `trie[token][token]... .form` is a unit or `None`.
        permutations: `(group, units)` int64.
        moved: `(moved,)` int64, the units that some element moves, ascending.
        moving: The same as a set of numbers.
        images: `(group, moved)` int64, the units to which each element sends them.
        places: `(group, moved)` int64, the places of these images in `moved`.
        general: `(units,)` bool, the general units of a relaxed group; `None` for a group that is not relaxed.
        general_columns: `(general,)` int64, these units; `None` for a group that is not relaxed.

    Raises:
        ActionError: If the map does not fit the group.

    Cost: reading and writing take a step per token, in Python; a batch without such words is moved by one look-up.

    Example:
        >>> from hf_equi.groups import DemographicGroup
        >>> token_map = TokenMap(vocab_size=4, sets=((),), composed=((((1,), (2, 3)),),))
        >>> action = UnitAction(DemographicGroup([["grandson", "granddaughter"]]), token_map)
        >>> action.read([0, 2, 3, 0]), action.member(1, [0, 2, 3, 0]), action.member(1, [0, 1, 0])
        ([0, 4, 0], [0, 1, 0], [0, 2, 3, 0])
    """

    composes: ClassVar[bool] = True

    def __init__(
        self, group: DemographicGroup, token_map: TokenMap, device: torch.device | str | None = "cpu"
    ) -> None:
        super().__init__(group, token_map, device)
        self.trie = FormNode()
        for place, form in enumerate(self.forms):
            self.trie.add(form, self.vocab_size + place)

    @cached_property
    def _images(self) -> list[dict[int, int]]:
        """For each element the images of the units that move."""
        return [dict(zip(self.moved.tolist(), row, strict=True)) for row in self.images.tolist()]

    @cached_property
    def begins(self) -> torch.Tensor:
        """`(vocab,)` bool, the tokens that begin a word of several tokens."""
        begins = torch.zeros(self.vocab_size, dtype=torch.bool, device=self.device)
        begins[list(self.trie)] = True
        return begins

    @cached_property
    def alone(self) -> torch.Tensor:
        """`(vocab,)` bool, the tokens whose images are all single tokens that begin no word of several tokens."""
        is_form = torch.ones(len(self.forms), dtype=torch.bool, device=self.device)
        joins = torch.cat([self.begins, is_form])
        return ~joins[self.permutations[:, : self.vocab_size]].any(0)

    def read(self, tokens: Sequence[int]) -> list[int]:
        """Return the units of a text: from left to right, the longest word first."""
        return self.trie.read(tokens)

    def write(self, units: Iterable[int]) -> list[int]:
        """Return the tokens of some units."""
        tokens: list[int] = []
        for unit in units:
            if unit < self.vocab_size:
                tokens.append(unit)
            else:
                tokens.extend(self.forms[unit - self.vocab_size])
        return tokens

    def move(self, element: int, units: Iterable[int]) -> list[int]:
        """Return the images of some units under an element."""
        images = self._images[element]
        return [images.get(unit, unit) for unit in units]

    def member(self, element: int, tokens: Sequence[int]) -> list[int]:
        """Return the image of a text under an element, which may be longer or shorter than the text.

        Raises:
            ActionError: If the group has no such element.
        """
        return self.write(self.move(checked_element(self.group, element), self.read(tokens)))

    def boundary(self, element: int, tokens: Sequence[int], place: int) -> int:
        """Return where a place between two tokens of a text lies in its image.

        Args:
            element: The element.
            tokens: The text.
            place: The number of tokens before the place. If it cuts a word, the place before the word counts.
        """
        before: list[int] = []
        size = 0
        for unit in self.read(tokens):
            size += len(self.write([unit]))
            if size > place:
                break
            before.append(unit)
        return len(self.write(self.move(element, before)))

    def moves(self, tokens: Sequence[int]) -> list[bool]:
        """Return for each token of a text whether it moves, alone or as a part of a word."""
        return [unit in self.moving for unit in self.read(tokens) for _ in self.write([unit])]

    def reads_back(self, tokens: Sequence[int]) -> bool:
        """Whether each image of a text reads as the images of its units, so that the equations of an action hold."""
        units = self.read(tokens)
        return all(self.read(self.write(moved)) == moved for moved in (self.move(g, units) for g in self._elements))

    @property
    def _elements(self) -> range:
        return range(self.group.order)

    def members_of(
        self, elements: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor | None = None
    ) -> list[list[list[int]]]:
        """Return some members of each orbit as lists of tokens, without padding.

        Args:
            elements: `(batch, K)` int64.
            ids: `(batch, tokens)`.
            mask: `(batch, tokens)`, 0 at padding.

        Returns:
            For each text and each of its elements the tokens, of any length.
        """
        self.check_ids(ids)
        texts = zip(elements.tolist(), self._texts(ids, mask), strict=True)
        read = ((each, self.read(text)) for each, text in texts)
        return [[self.write(self.move(g, units)) for g in each] for each, units in read]

    def apply(self, elements: int | torch.Tensor, x: torch.Tensor, /) -> torch.Tensor:
        """Return g x.

        Args:
            elements: One element, or `(R,)` with one per sample.
            x: `(R, ..., tokens)` token ids, or `(R, ..., units)` floating scores over the units.

        Raises:
            ActionError: As in `ColumnAction`; for a text whose image has another length.
        """
        if x.is_floating_point() or x.dtype == torch.bool or not x.dim():
            return super().apply(elements, x)
        ids = x.long()
        self.check_ids(ids)
        g = read_elements(self.group, elements, x)
        if self._moves_alone(ids):
            return super().apply(g, x)
        texts = ids.reshape(-1, ids.shape[-1])
        each = g if isinstance(g, torch.Tensor) else torch.tensor([g])
        elements = each.repeat_interleave(len(texts) // len(each))
        return self.members(elements[:, None], texts).view_as(x).to(x.dtype)

    def members(self, elements: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Return some members of each orbit: elements `(batch, K)`, ids `(batch, tokens)` to `(batch, K, tokens)`.

        Raises:
            ActionError: For members that differ in length.
        """
        if self._moves_alone(ids):
            return super().members(elements, ids)
        members = self.members_of(elements, ids)
        if any(len(member) != ids.shape[1] for text in members for member in text):
            raise ActionError(
                "The words of several tokens in these texts become words of another number of tokens, so the images "
                "do not fit into one tensor. Use member(element, tokens) or members_of(elements, ids, mask), which "
                "return lists."
            )
        return torch.tensor(members, dtype=torch.long, device=ids.device).view(*elements.shape, ids.shape[1])

    def orbit(self, ids: torch.Tensor) -> torch.Tensor:
        """All members: `(batch, tokens)` to `(batch, group, tokens)`.

        Raises:
            ActionError: For members that differ in length.
        """
        return self.members(self._everyone(ids), ids)

    def keys(self, x: torch.Tensor, /) -> torch.Tensor:
        """Return a key of every member of each orbit, `(B, G)`, as in `Action`; members may differ in length."""
        members = [member for text in self.members_of(self._everyone(x), x) for member in text]
        longest = max(map(len, members), default=0)
        filled = [[token + 1 for token in member] + [0] * (longest - len(member)) for member in members]
        table = torch.tensor(filled, dtype=torch.long, device=x.device).view(-1, longest)
        weights = position_weights(torch.Size([1, longest]), x.device)
        return checksums(table, weights).view(x.shape[0], self.group.order)

    def canonical_element(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return k(x), the first element that takes each sequence to the smallest member of its orbit, `(batch,)`.

        Members are compared unit by unit from the left; all have the same number of units. Places where `mask` is 0
        are left out.
        """
        if self._moves_alone(ids):
            return super().canonical_element(ids, mask)
        self.check_ids(ids)
        found = []
        for text in self._texts(ids, mask):
            units = self.read(text)
            found.append(min(self._elements, key=lambda g: self.move(g, units)))
        return torch.tensor(found, dtype=torch.long, device=ids.device)

    def _moves_alone(self, ids: torch.Tensor) -> bool:
        """Whether no word of several tokens is in some texts or in their images."""
        self.check_ids(ids)
        return bool(self.alone.to(ids.device)[ids].all())

    def _everyone(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.arange(self.group.order, device=ids.device).expand(ids.shape[0], -1)

    @staticmethod
    def _texts(ids: torch.Tensor, mask: torch.Tensor | None) -> list[list[int]]:
        texts: list[list[int]] = ids.tolist()
        if mask is None:
            return texts
        kept = mask.bool().tolist()
        return [[t for t, keep in zip(*pair, strict=True) if keep] for pair in zip(texts, kept, strict=True)]

    def __repr__(self) -> str:
        tokens, words = f"{self.moved_tokens} of {self.vocab_size}", f"{self.moved_forms} of {len(self.forms)}"
        return f"UnitAction({self.group!r}, {tokens} tokens and {words} words moved)"
