"""Groups of the image plane on images, on feature maps, and on grids of tokens."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial

import torch

from hf_equi.actions._checksums import checksums, position_weights
from hf_equi.actions._elements import read_elements
from hf_equi.actions._resampling import check_padding, resample
from hf_equi.actions.base import Action
from hf_equi.errors import ActionError
from hf_equi.groups import ImageGroup

__all__ = ["GridAction", "PixelAction"]

_MOST_KEPT = 2**21
"""The most weights of places that are kept for the next call. Four sets are kept, of 16 MiB each."""


class PixelAction(Action):
    r"""A group on images and on feature maps, by moving their pixels.

    $$ (g x)(p) = x(g^{-1} p), \qquad gh \cdot x = g \cdot (h \cdot x) $$

    for points p of the plane, whose origin is the middle of the image. Each element mirrors the image left-right or
    not, turns it by whole quarter turns, and then by the remaining degrees.

    Mirrors and quarter turns are exact: pixels are moved and no number is changed. The rest of an angle is resampled
    bilinearly from the image, which `padding` continues beyond its edges as far as its corners turn. This loses
    detail and invents the content of the corners, so for groups with such angles the equations hold approximately.
    The table gives $|g^{-1} g x - x|$ with `"reflect"`, float32 images of numbers in [0, 1] and the eight turns by
    45°: the largest over all elements and pixels / the mean over the pixels of the worst element.

    | image | size | within the disc, at most | in the whole image, at most |
    |---|---|---|---|
    | smooth | 32 × 32 | 0.012 / 0.0036 | 0.65 / 0.042 |
    | smooth | 224 × 224 | 0.00025 / 0.000075 | 0.67 / 0.034 |
    | noise | 32 × 32 | 0.52 / 0.16 | 0.82 / 0.18 |
    | noise | 224 × 224 | 0.65 / 0.16 | 0.90 / 0.18 |

    Smooth is a sum of three waves of one to two periods across the image. Noise is independent and uniform in each
    pixel. The disc is the part that no turn moves out of the image.

    Args:
        group (`ImageGroup`):
            The group.
        padding (`str`, *optional*, defaults to `"reflect"`):
            How images continue beyond their edges where they are resampled: `"reflect"` or `"circular"`.

    Raises:
        ActionError: If `padding` is neither.

    Cost: a copy of the image; with resampling one `grid_sample` of about twice its pixels. Guarantee: exact for
    groups whose `exact` is true, approximate for others.

    Example:
        ```python
        >>> import torch
        >>> from hf_equi import ImageGroup, PixelAction
        >>> action = PixelAction(ImageGroup.rotations(4))
        >>> action.apply(1, torch.tensor([[[1, 2], [3, 4]]]))
        tensor([[[2, 4],
                 [1, 3]]])

        ```
    """

    def __init__(self, group: ImageGroup, padding: str = "reflect") -> None:
        check_padding(padding)
        self.group = group
        self.padding = padding
        self.resamples = not group.exact

    def apply(self, elements: int | torch.Tensor, x: torch.Tensor, /) -> torch.Tensor:
        """Return g x.

        Args:
            elements (`int` or `torch.LongTensor` of shape `(R,)`):
                One element for images of any number of leading axes, or one per sample.
            x (`torch.Tensor` of shape `(..., C, H, W)`, or `(R, C, H, W)` with one element per sample):
                Images or feature maps, of any dtype; floating if the group resamples.

        Returns:
            `torch.Tensor` of the same shape and dtype, contiguous. It may be `x` itself. Gradients flow to `x`.

        Raises:
            ActionError: If the group has no such element, or there is not one for each sample; if the group needs
                square images and these are not; for too few axes; if integers would be resampled; if kornia is needed
                but not installed.
        """
        each = isinstance(elements, torch.Tensor) and elements.dim() > 0
        self._check(x, axes=4 if each else None)
        g = read_elements(self.group, elements, x)
        return self._moved_each(g, x) if isinstance(g, torch.Tensor) else self._moved(g, x)

    def orbit(self, x: torch.Tensor) -> torch.Tensor:
        """Return all members: `(B, C, H, W)` to `(B, G, C, H, W)`, in which `[:, 0]` are the images themselves.

        Raises:
            ActionError: As in `apply`.
        """
        self._check(x, axes=4)
        return torch.stack([self._moved(g, x) for g in range(self.group.order)], dim=1)

    def keys(self, x: torch.Tensor, /) -> torch.Tensor:
        r"""Return a checksum of every member of each image's orbit.

        Members whose pixels are equal, where -0.0 equals 0.0, have equal keys, whatever batch they are in:

        $$ \text{key}_g(h x) = \text{key}_{gh}(x) $$

        for all g and h of exact groups. For other groups it holds if h is exact, because members are then resampled
        alike. Different members have different keys, unless 64-bit sums happen to collide.

        Args:
            x (`torch.Tensor` of shape `(B, C, H, W)`):
                Images of one size.

        Returns:
            `torch.LongTensor` of shape `(B, G)`; entry g is the key of gx.

        Raises:
            ActionError: As `apply`.
        """
        self._check(x, axes=4)
        if self.group.exact:
            # The sum of weights times moved pixels is that of weights moved back times pixels.
            few = self.group.order * x.shape[1:].numel() <= _MOST_KEPT
            # A trace has stand-ins for values. They must not be kept for real computations.
            kept = few and type(x) is torch.Tensor and not torch.compiler.is_compiling()
            place = x.shape[1:], x.device
            return checksums(x, _kept_weights(self.group, *place) if kept else self._weights(*place))
        weights = position_weights(x.shape[1:], x.device)
        with torch.no_grad():
            members = (self._moved(g, x) for g in range(self.group.order))
            return torch.cat([checksums(member, weights[None]) for member in members], dim=1)

    def __repr__(self) -> str:
        return f"PixelAction({self.group!r}, padding={self.padding!r})"

    def _moved_each(self, elements: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_exporting():
            return self._moved_by_any(elements, x)
        result = torch.empty_like(x, memory_format=torch.contiguous_format)
        # Copy in place, once for each element: out of place, each copy would be of all samples.
        for g in sorted(set(elements.tolist())):
            rows = (elements == g).nonzero().flatten()
            if len(rows) == len(x):
                return self._moved(g, x)
            result.index_copy_(0, rows, self._moved(g, x.index_select(0, rows)))
        return result

    def _moved_by_any(self, elements: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Do the same in a traced graph, which cannot depend on the samples that an element has.

        Each step of a motion is applied to all samples, and kept for those whose element takes it.
        """
        mirrored, quarters, rests = zip(*self.group.motions, strict=True)
        steps: list[tuple[list[bool], Callable[[torch.Tensor], torch.Tensor]]] = [
            (list(mirrored), lambda x: x.flip(-1)),
            ([bool(count & 1) for count in quarters], lambda x: x.rot90(1, (-2, -1))),
            ([bool(count & 2) for count in quarters], lambda x: x.rot90(2, (-2, -1))),
            *(
                ([rest == angle for rest in rests], partial(resample, angle=angle, padding=self.padding))
                for angle in sorted({*rests} - {0.0})
            ),
        ]
        for taken, move in steps:
            if any(taken):
                chosen = torch.tensor(taken, device=x.device)[elements]
                x = torch.where(chosen.view(-1, 1, 1, 1), move(x), x)
        return x.contiguous()

    def _weights(self, shape: torch.Size, device: torch.device) -> torch.Tensor:
        """Return the weights of the places of an image, moved by the inverse of each element: `(G, C, H, W)`."""
        weights = position_weights(shape, device)
        return torch.stack([self._moved(self.group.inverse(g), weights) for g in range(self.group.order)])

    def _moved(self, g: int, x: torch.Tensor) -> torch.Tensor:
        # The rest comes last. So gr x and g(r x) are the same numbers for every r that is exact.
        mirrored, quarters, rest = self.group.motions[g]
        if mirrored:
            x = x.flip(-1)
        if quarters:
            x = x.rot90(quarters, (-2, -1))
        if rest:
            x = resample(x, rest, self.padding)
        # Equal members have to have one layout too: a model may sum in another order if they do not.
        return x.contiguous()

    def _check(self, x: torch.Tensor, axes: int | None = None) -> None:
        if x.dim() < 3 or axes not in (None, x.dim()):
            wanted = "at least three axes, (..., C, H, W)" if axes is None else "four axes, (R, C, H, W)"
            raise ActionError(f"Images need {wanted}; received shape {tuple(x.shape)}. Add the missing axes.")
        height, width = x.shape[-2:]
        if self.group.needs_square and height != width:
            raise ActionError(
                f"{self.group!r} turns images onto their sides, so they must be square; received H = {height}, "
                f"W = {width}. Crop or pad them to a square, or use ImageGroup.flips(...) or ImageGroup.rotations(2)."
            )
        if not self.group.exact and not x.is_floating_point():
            raise ActionError(
                f"{self.group!r} resamples images, which needs floating numbers; received {x.dtype}. Convert them, "
                "for example with x.float(), or use a group of quarter turns and mirrors."
            )


class GridAction(Action):
    r"""A group on grids of tokens, as vision transformers make them: patches move like the pixels of an image.

    $$ (g x)_{i} = x_{s_g(i)}, \qquad s_g(i) = \text{sources}[g, i] $$

    for the patches i. Special tokens, such as the class token, come first and stay where they are. The content of a
    token does not change. So a transformer commutes with the action only approximately, or not at all, unless its
    position embeddings are themselves symmetric.

    Args:
        group (`ImageGroup`):
            The group; one of quarter turns and mirrors.
        special (`int`, *optional*, defaults to 0):
            The number of tokens at the start that do not stand for a patch.
        size (`tuple[int, int]`, *optional*):
            Rows and columns of the grid; by default the square with the given number of patches.

    Raises:
        ActionError: If the group has angles other than quarter turns, which would split tokens; if it turns the grid
            onto its side and `size` is not a square.

    Guarantee: exact.

    Example:
        ```python
        >>> import torch
        >>> from hf_equi import GridAction, ImageGroup
        >>> action = GridAction(ImageGroup.rotations(4), special=1)
        >>> action.apply(1, torch.tensor([[0], [1], [2], [3], [4]])).flatten()
        tensor([0, 2, 4, 1, 3])

        ```
    """

    def __init__(self, group: ImageGroup, special: int = 0, size: tuple[int, int] | None = None) -> None:
        if not group.exact:
            raise ActionError(
                f"{group!r} has angles other than quarter turns, and tokens cannot be interpolated like pixels. Use "
                "ImageGroup.rotations(n) or ImageGroup.dihedral(n) with n = 1, 2 or 4, or flips."
            )
        if special < 0:
            raise ActionError(f"special is a number of tokens, 0 or more; received {special}.")
        if size is not None and group.needs_square and size[0] != size[1]:
            raise ActionError(
                f"A grid that breaks the symmetry: {group!r} turns it onto its side, but {size[0]} rows of {size[1]} "
                "patches are not a square. Make the images square, or use ImageGroup.flips(...)."
            )
        self.group = group
        self.special = special
        self.size = size

    def sources(self, patches: int) -> torch.Tensor:
        """Return which patch each element brings to each place of a grid.

        Args:
            patches (`int`):
                The number of patches N.

        Returns:
            `torch.LongTensor` of shape `(G, N)`, on the CPU: entry `[g, i]` is the patch that g brings to place i.

        Raises:
            ActionError: If the number of patches does not match `size`, or is not a square if there is no `size`.
        """
        return self._table(patches).clone()

    def apply(self, elements: int | torch.Tensor, x: torch.Tensor, /) -> torch.Tensor:
        """Return g x.

        Args:
            elements (`int` or `torch.LongTensor` of shape `(R,)`):
                One element for tokens of any number of leading axes, or one per sample.
            x (`torch.Tensor` of shape `(..., special + N, D)`, or `(R, special + N, D)` with one element per sample):
                Tokens, of any dtype.

        Returns:
            `torch.Tensor` of the same shape and dtype, contiguous.

        Raises:
            ActionError: If the group has no such element, or there is not one for each sample; for too few axes, or
                tokens that are not a grid.
        """
        each = isinstance(elements, torch.Tensor) and elements.dim() > 0
        if each and x.dim() != 3:
            raise ActionError(f"Samples of tokens need three axes, (R, tokens, D); received shape {tuple(x.shape)}.")
        order = self._order(x)[read_elements(self.group, elements, x)]  # (special + N,), or one row per sample
        return x.gather(1, order.unsqueeze(-1).expand_as(x)) if each else x.index_select(-2, order)

    def __repr__(self) -> str:
        return f"GridAction({self.group!r}, special={self.special}, size={self.size})"

    def _order(self, x: torch.Tensor) -> torch.Tensor:
        """Return which token each element brings to each place, `(G, special + N)`."""
        if x.dim() < 2 or x.shape[-2] <= self.special:
            raise ActionError(
                f"Tokens need two axes or more, (..., tokens, D), and at least one patch behind {self.special} "
                f"special tokens; received shape {tuple(x.shape)}."
            )
        sources = self._table(x.shape[-2] - self.special)
        stay = torch.arange(self.special, device="cpu").expand(self.group.order, -1)
        return torch.cat([stay, sources + self.special], dim=1).to(x.device)

    def _table(self, patches: int) -> torch.Tensor:
        # A tensor that is made while a graph is traced has no values, so the cache must not keep it.
        find = _sources.__wrapped__ if torch.compiler.is_exporting() else _sources
        found: torch.Tensor = find(self.group, *self._grid(patches))
        return found

    def _grid(self, patches: int) -> tuple[int, int]:
        size = self.size or (math.isqrt(patches),) * 2
        if math.prod(size) != patches:
            grid = f"not {size[0]} rows of {size[1]}" if self.size else "not a square"
            raise ActionError(
                f"A grid that breaks the symmetry: {patches} patches behind {self.special} special tokens are "
                f"{grid}. Check special=, make the images square, or give the grid as "
                "size=(rows, columns), which is enough for flips."
            )
        return size


@lru_cache(maxsize=4)
def _kept_weights(group: ImageGroup, shape: torch.Size, device: torch.device) -> torch.Tensor:
    """Return those weights from a cache: for one small image they take longer than the rest of the action."""
    return PixelAction(group)._weights(shape, device)


@lru_cache(maxsize=32)
def _sources(group: ImageGroup, height: int, width: int) -> torch.Tensor:
    """Return the place that each element brings to each place, `(G, height * width)`, by moving a map of numbers."""
    places = torch.arange(height * width, device="cpu").view(1, 1, height, width)
    return PixelAction(group).orbit(places).view(group.order, -1)
