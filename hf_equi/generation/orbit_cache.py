"""The forking orbit cache: the key-value cache of a whole orbit, which looks like a cache of B texts from outside.

The base model's own cache lies inside and holds the distinct rows of the orbits. All members of an orbit share one row
until the first token that separates them. There the row forks. `generate` and beam search reorder, repeat and select
texts. Each of these acts on whole orbits. Every row operation uses the inner cache's own `reorder_cache`, which all
layers of transformers have, including sliding, static and recurrent ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers.cache_utils import Cache

from hf_equi.actions import TokenAction
from hf_equi.bases.compat import CACHE
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.symmetrizers import Orbit, Select

__all__ = ["OrbitCache"]

_HELD = "orbit_and_origin"
"""The attribute in which a cache of the base keeps whose rows it holds and which method asked for them."""

_KIND = "orbit_cache_kind"
"""The attribute in which a cache of the base keeps which kind of orbit cache it was."""


class OrbitCache(Cache):
    """A cache of B texts that holds the rows of their orbits.

    Args:
        inner: The base model's cache.
        orbit: Which row holds which member.
        action: The action whose orbits they are.
        select: The kind of selection that asked for their members.
    """

    def __init__(self, inner: Cache, orbit: Orbit, action: TokenAction, select: type[Select]) -> None:
        # The cache of an encoder-decoder model is a pair. Its first part holds the decoded tokens.
        decoded = getattr(inner, "self_attention_cache", inner)
        super().__init__(layers=decoded.layers)
        if int(inner.get_seq_length()) == 0:
            _start_over(inner, orbit.rows)
        self.inner = inner
        self._hold(orbit, action, select)
        self._noted: tuple[Orbit, object, Any] | None = None

    @classmethod
    def again(cls, cache: Any) -> Any:
        """Return the orbit cache again, also from a cache of the base that one has filled; any other cache unchanged.

        A cache without tokens, as after `reset`, holds no orbits and is returned as an empty cache of the base.
        """
        inner = cache.inner if isinstance(cache, cls) else cache
        held = getattr(inner, _HELD, None)
        if held is None:
            return cache
        again = cache if inner is not cache else getattr(inner, _KIND)(cache, *held)
        return again if again.get_seq_length() else inner

    def _hold(self, orbit: Orbit, action: TokenAction, select: type[Select]) -> None:
        """Store this with the base's cache, which callers may hold on to."""
        setattr(self.inner, _HELD, (orbit, action, select))
        setattr(self.inner, _KIND, type(self))

    @property
    def orbit(self) -> Orbit:
        """Which row holds which member."""
        orbit: Orbit = getattr(self.inner, _HELD)[0]
        return orbit

    @orbit.setter
    def orbit(self, orbit: Orbit) -> None:
        self._hold(orbit, self.action, self.select)

    @property
    def action(self) -> TokenAction:
        """The action whose orbits the cache holds."""
        action: TokenAction = getattr(self.inner, _HELD)[1]
        return action

    @property
    def select(self) -> type[Select]:
        """The kind of selection that asked for the members."""
        select: type[Select] = getattr(self.inner, _HELD)[2]
        return select

    def note(self, origin: object, make: Callable[[], Any]) -> Any:
        """Return what `make` made of `origin` for the current rows; make it again once rows have forked or moved."""
        if self._noted is None or self._noted[0] is not self.orbit or self._noted[1] is not origin:
            self._noted = (self.orbit, origin, make())
        return self._noted[2]

    @property
    def is_compileable(self) -> bool:
        """Always false: rows fork while text is generated, so no graph of fixed size exists."""
        return False

    @property
    def is_linear(self) -> list[bool]:
        """The inner cache's answer, layer by layer."""
        layers: list[bool] = self.inner.is_linear
        return layers

    @property
    def is_croppable(self) -> bool:
        """The inner cache's answer. A fixed-size cache cannot be cropped: its rows fork when drafts are taken back."""
        return bool(self.inner.is_croppable) and not self.inner.is_compileable

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the number of cached tokens of each text, without the virtual tokens that a peft prompt adds."""
        length = int(self.inner.get_seq_length(layer_idx))
        return length - min(length, getattr(self.inner, "virtual_tokens", 0))

    def extend(self, tokens: torch.Tensor) -> Orbit:
        """Fork rows whose members read different next tokens, and return the orbit after those tokens.

        Args:
            tokens: `(B, K, tokens)` the tokens that each member reads next.
        """
        orbit, parents = self.orbit.extend(tokens)
        if orbit.rows != self.orbit.rows and self.get_seq_length() > 0:
            self._take_rows(parents)
        self.orbit = orbit
        return orbit

    def check_action(self, action: TokenAction) -> None:
        """Refuse a group whose orbits the cache does not hold.

        Raises:
            UnsupportedModelError: For another group, or another vocabulary.
        """
        if not action.same_as(self.action):
            raise UnsupportedModelError(
                f"This cache holds orbits of {self.action.group!r}, so it cannot be continued with {action.group!r}. "
                f"Pass the same group=, or start without {CACHE}=."
            )

    def holds(self, elements: Any) -> bool:
        """Return whether `elements`, `(B,)`, are the one element of each text that the cache holds."""
        held = self.orbit.elements
        if not isinstance(elements, torch.Tensor) or elements.dtype != held.dtype:
            return False
        return torch.equal(elements.to(held.device).unsqueeze(-1), held)

    def check_select(self, select: Select) -> None:
        """Refuse a method that would ask for other members than the method that filled the cache.

        Raises:
            UnsupportedModelError: For such a method.
        """
        if self.action.group.order > 1 and type(select) is not self.select:
            raise UnsupportedModelError(
                "This cache was filled by a model with another method, which reads other members of the orbits. Pass "
                f"a {CACHE}= that this model returned, or leave it out."
            )

    def check_members(self, members: int) -> None:
        """Refuse to continue with a number of members other than the cached one.

        Raises:
            UnsupportedModelError: If the number differs.
        """
        held = self.orbit.elements.shape[1]
        if held != members:
            raise UnsupportedModelError(
                f"This cache holds {held} of the {self.action.group.order} members of each orbit, but this call "
                f"decodes with {members}. Either elements= named the cached members, or the cache was filled to score "
                f"labels. Pass the same elements= again, or leave {CACHE}= out."
            )

    def check_texts(self, length: int, rows: int) -> None:
        """Refuse texts that do not continue the cached ones.

        Args:
            length: The number of tokens of each text, including the cached ones.
            rows: The number of texts to decode: prompts times beams or samples.

        Raises:
            ConfigurationError: If there is no new token, or if the number of texts differs.
        """
        past, texts = self.get_seq_length(), len(self.orbit.rank)
        if past and past >= length:
            raise ConfigurationError(
                f"The cache holds {past} tokens of each text, and input_ids have {length}. Pass the whole text: those "
                f"{past} tokens and at least one more. Cached tokens are not read again. To take tokens back, call "
                "cache.crop(-n)."
            )
        if past and texts != rows:
            raise ConfigurationError(
                f"The cache holds {texts} texts, but this call decodes {rows} (prompts times beams or samples). Pass "
                f"as many prompts as {CACHE}= has texts. cache.batch_repeat_interleave(n) repeats the texts for n "
                "beams or samples of each."
            )

    def take_up(self, elements: torch.Tensor, texts: torch.Tensor) -> None:
        """Continue with other members. What they read differently is forgotten, so that the call reads it again.

        Args:
            elements: `(B, K)` the elements of the members from now on.
            texts: `(B, tokens)` the whole texts, in the user's frame. With beams there are fewer of them than are
                cached.

        Raises:
            UnsupportedModelError: If the number of members differs.
        """
        self.check_members(elements.shape[1])
        beams = len(self.orbit.rank) // len(texts)
        elements, texts = (each.repeat_interleave(beams, dim=0) for each in (elements, texts))
        if torch.equal(elements, self.orbit.elements):
            return
        read = texts[:, : self.get_seq_length()]
        old, new = (self.action.members(each, read) for each in (self.orbit.elements, elements))
        differs = (old != new).flatten(0, 1).any(0)
        same = int(differs.cumsum(0).eq(0).sum())  # leading places where all members read the same as before
        if 0 < same < read.shape[1] and self.is_croppable and not any(map(_has_forgotten, self.layers)):
            self.crop(same - read.shape[1])
        elif same < read.shape[1]:
            self.reset()
        self.orbit = Orbit(elements, self.orbit.rank, self.orbit.shared)

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Take the orbits of the texts `beam_idx`, `(B,)`, in that order."""
        self.orbit, parents = self.orbit.select(beam_idx.to(self.orbit.rank.device))
        self._take_rows(parents)

    def _take_rows(self, rows: torch.Tensor) -> None:
        self.inner.reorder_cache(rows)  # type: ignore[arg-type]  # any int64 tensor serves

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep the orbits of some texts."""
        self.reorder_cache(torch.arange(len(self.orbit.rank), device=indices.device)[indices])

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each text with its orbit."""
        texts = torch.arange(len(self.orbit.rank), device=self.orbit.rank.device)
        self.reorder_cache(texts.repeat_interleave(repeats))

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last tokens of all texts. Rows that those tokens forked stay apart."""
        self.inner.crop(tokens_to_remove)

    def reset(self) -> None:
        """Forget all texts."""
        self.inner.reset()
        self.orbit = Orbit.start(self.orbit.elements, self.orbit.shared)


def _start_over(cache: Cache, rows: int) -> None:
    """Let an empty cache take any number of rows. `reset` alone keeps the states and the space of the old rows."""
    cache.reset()  # cropped rows may still lie there without tokens
    for part in (getattr(cache, "self_attention_cache", cache), getattr(cache, "cross_attention_cache", cache)):
        layers: list[Any] = part.layers
        for layer in layers:
            for name in ("conv_states", "recurrent_states"):
                states = getattr(layer, name, {})
                states.update(dict.fromkeys(states))
                made = getattr(layer, f"is_{name}_initialized", {})
                made.update(dict.fromkeys(made, False))
            if getattr(layer, "batch_size", rows) != rows:  # a fixed-size layer allocates at its first token
                layer.batch_size, layer.keys, layer.values, layer.is_initialized = rows, None, None, False
                layer.is_indexer_initialized = False  # of sparse attention


def _has_forgotten(layer: Any) -> bool:
    """Return whether a layer has kept only the last tokens, so that it cannot go back to earlier ones."""
    window = getattr(layer, "sliding_window", None)
    return window is not None and layer.get_seq_length() >= window and not getattr(layer, "record_past", False)
