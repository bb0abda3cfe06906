"""The symmetries of an environment: how each element moves its states, and its actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hf_equi.errors import GroupError
from hf_equi.groups._axioms import arange, long_tensor
from hf_equi.groups.finite import FiniteGroup
from hf_equi.groups.matrices import MatrixGroup
from hf_equi.groups.registry import TYPE, without_type
from hf_equi.groups.spatial import ImageGroup

__all__ = ["ACROBOT", "CARTPOLE", "GRIDWORLD", "WALLED_GRIDWORLD", "EnvironmentGroup"]


class EnvironmentGroup(FiniteGroup):
    r"""A finite group of symmetries of an environment, which moves states s and discrete actions a together.

    $$ T(gs' \mid gs, ga) = T(s' \mid s, a), \qquad r(gs, ga) = r(s, a) $$

    with transitions T and rewards r (arXiv 2006.16908, section 3.2). `hf_equi.testing.assert_environment_symmetric`
    checks whether an environment has these symmetries. Name some of them; their products are added.

    Args:
        states (nested sequence of `float`, shape `(n, S)` or `(n, S, S)`, or `ImageGroup`):
            How each named symmetry moves a state: the signs of its S numbers, or a matrix. For states that are images,
            the group that moves them.
        actions (`torch.Tensor` or nested sequence of `int`, shape `(n, A)`):
            The action that takes the place of each action, for each named symmetry. For images there is one row for
            each of `states.generators`: for `ImageGroup.rotations(4)` one, that of the counter-clockwise quarter turn.
        names (`Sequence[str]`, *optional*):
            One distinct name per element of the group.

    Attributes:
        states: `(G, S, S)` float64, the matrix by which each element moves states; `None` for images.
        images: The group that moves images; `None` for other states.
        permutations: `(G, A)` int64, the action to which each element sends each action.

    Raises:
        GroupError: If signs, matrices or permutations are none; if their numbers differ; if permutations do not
            multiply like the elements of the group of images; for images, if the group has other angles than quarter
            turns.

    Example:
        ```python
        >>> from hf_equi.groups import EnvironmentGroup
        >>> cart_pole = EnvironmentGroup(states=[[-1, -1, -1, -1]], actions=[[1, 0]])  # left and right change places
        >>> cart_pole.order, cart_pole.names, cart_pole.permutations.tolist()
        (2, ('identity', 'mirror'), [[0, 1], [1, 0]])

        ```
    """

    states: torch.Tensor | None
    images: ImageGroup | None

    def __init__(
        self,
        states: torch.Tensor | Sequence[Sequence[Any]] | ImageGroup,
        actions: torch.Tensor | Sequence[Sequence[int]],
        *,
        names: Sequence[str] | None = None,
    ) -> None:
        rows = _read_permutations(actions)
        if isinstance(states, ImageGroup):
            if not states.exact:
                raise GroupError(
                    f"{states!r} resamples images, so the image of a state is not one that the environment shows: use "
                    "quarter turns and mirrors."
                )
            self.images, self.states = states, None
            self._take_over(states, states.names if names is None else names)
            self._permutations = self.check_permutations(_of_generators(states, rows))
            return
        matrices = _read_states(states)
        if len(matrices) != len(rows):
            raise GroupError(
                f"states names {len(matrices)} symmetries, but actions {len(rows)}: say of each how it moves both."
            )
        size = matrices.shape[1]
        moves = torch.nn.functional.one_hot(rows, rows.shape[1]).mT.double()  # row p(a), column a
        pairs = zip(matrices, moves, strict=True)
        both = MatrixGroup.generated([torch.block_diag(*pair).tolist() for pair in pairs])  # type: ignore[no-untyped-call]
        self.images, self.states = None, both.matrices[:, :size, :size].clone()
        self._take_over(both, _names(both.order) if names is None else names)
        self._permutations = both.matrices[:, size:, size:].argmax(1)

    def to_dict(self) -> dict[str, Any]:
        """Return the group as JSON scalars, lists and dictionaries, as configs store it."""
        states: Any
        if self.images is not None:
            states, rows = self.images.to_dict(), self.permutations[list(self.images.generators)]
        else:
            named: Any = slice(1, None) if self.order > 1 else slice(None)  # the identity goes without saying
            states, rows = self.states[named].tolist(), self.permutations[named]  # type: ignore[index]
        return {TYPE: "environment", "states": states, "actions": rows.tolist(), "names": list(self.names)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> EnvironmentGroup:
        """Return the group that `to_dict` described.

        Raises:
            GroupError: If the description has another kind, has missing or unknown keys, or is not that of a group.
        """
        what = 'Symmetries are described by {"type": "environment", "states": ..., "actions": ..., "names": ...}'
        stored = without_type(content, "environment", what)
        if stored.keys() != {"states", "actions", "names"}:
            raise GroupError(f"{what}; received the keys {sorted(map(str, content))}.")
        states = stored["states"]
        states = ImageGroup.from_dict(states) if isinstance(states, Mapping) else states
        return cls(states, stored["actions"], names=stored["names"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EnvironmentGroup):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.names)


def _read_permutations(actions: Any) -> torch.Tensor:
    """Return the named permutations of actions, `(n, A)`."""
    rows = long_tensor(actions, "actions")
    if rows.dim() != 2 or not rows.numel():
        raise GroupError(f"actions needs one row for each symmetry, (n, A); received {tuple(rows.shape)}.")
    wrong = (rows.sort(dim=1).values != arange(rows.shape[1])).any(1).nonzero()
    if len(wrong):
        raise GroupError(
            f"Row {int(wrong[0])} of actions, {rows[int(wrong[0])].tolist()}, is not a permutation of "
            f"0..{rows.shape[1] - 1}: each action must appear in it exactly once."
        )
    return rows


def _read_states(states: Any) -> torch.Tensor:
    """Return the matrices by which the named symmetries move states, `(n, S, S)`."""
    try:
        rows = torch.as_tensor(states, dtype=torch.float64, device="cpu").detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise GroupError(f"states must be signs, matrices or an ImageGroup; received {states!r}.") from error
    if rows.dim() == 3:
        return rows
    if rows.dim() != 2 or not rows.numel():
        raise GroupError(f"states needs the shape (n, S) for signs, or (n, S, S); received {tuple(rows.shape)}.")
    if bool((rows.abs() != 1).any()):
        raise GroupError(
            f"Signs are 1 and -1; received {rows.tolist()}. A symmetry that does more than change signs is a matrix."
        )
    return torch.diag_embed(rows)


def _of_generators(images: ImageGroup, rows: torch.Tensor) -> torch.Tensor:
    """Return the permutation of every element, from those of the generators."""
    if len(rows) != len(images.generators):
        raise GroupError(
            f"actions needs one row for each generator of {images!r}, which are "
            f"{', '.join(repr(images.names[g]) for g in images.generators) or 'none'}; received {len(rows)} rows."
        )
    found = {0: arange(rows.shape[1])}
    while len(found) < images.order:
        for g, row in zip(images.generators, rows, strict=True):
            for h, moved in list(found.items()):
                found.setdefault(int(images.product[g, h]), row[moved])
    return torch.stack([found[g] for g in range(images.order)])


def _names(order: int) -> list[str] | None:
    return ["identity", "mirror"] if order == 2 else None


CARTPOLE = EnvironmentGroup(states=[[-1, -1, -1, -1]], actions=[[1, 0]])
"""The mirror of `CartPole-v1`: position, speed, angle and angular speed change sign; left and right change places."""
ACROBOT = EnvironmentGroup(states=[[1, -1, 1, -1, -1, -1]], actions=[[2, 1, 0]])
"""The mirror of `Acrobot-v1`: sines and angular speeds change sign, and so does the torque."""
GRIDWORLD = EnvironmentGroup(states=ImageGroup.rotations(4), actions=[[0, 2, 3, 4, 1]])
"""Quarter turns of the image of `hf_equi/TorusGridworld-v0`. They turn the steps down, right, up and left (1 to 4).

Action 0, to stay, is the same for all. The published code lists the inverse permutation, `[0, 4, 1, 2, 3]`, which says
where each action's value comes from.
"""
WALLED_GRIDWORLD = EnvironmentGroup(
    states=[[[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]]],
    actions=[[1, 2, 3, 0]],
    names=["0°", "90°", "180°", "270°"],
)
"""Quarter turns of `hf_equi/WalledGridworld-v0`. They turn places, and the steps down, right, up and left (0 to 3)."""
