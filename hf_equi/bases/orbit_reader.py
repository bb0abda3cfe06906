r"""Run a base on the orbits of tensors: images, states, point clouds, and whatever else comes as numbers.

    x ── select ──► {gx}, equal ones shared ──► rows ── base ──► {M(gx)} ── pull back ──► {g⁻¹M(gx)} ── fold ──► M_G(x)

It is one of two readers. Texts use the other, `hf_equi.generation.orbit_forward`, because of their cache.

Letters: B batch, G group, K members asked for, R rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

import torch

from hf_equi.actions import Action, ColumnAction, TrivialAction
from hf_equi.bases.chunks import evaluates_on_cpu, evenly, in_chunks, shares_rows
from hf_equi.bases.memory import advice_on_memory
from hf_equi.bases.rows import repeat_rows
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.groups import ContinuousGroup, FiniteGroup
from hf_equi.symmetrizers import Combine, Decision, Orbit, ProxyLoss, Selection
from hf_equi.symmetrizers.orbit import SeparateOrbit, WholeOrbit
from hf_equi.symmetrizers.select import WholeSelection
from hf_equi.symmetrizers.weigh import joint_log_weights

__all__ = ["OrbitReader", "OrbitRows", "Outputs", "check_batch", "fold_rows", "losses_of"]

Outputs = Mapping[str, "torch.Tensor | None"]
"""The outputs of a base for some rows, by name, each `(rows, ...)`."""

# The keys of several inputs are added up, each multiplied by its own power of an odd number.
_ODD = -0x61C8864680B583EB


@dataclass
class OrbitRows:
    """The outputs of a base for the orbits of a batch.

    Args:
        group: The group.
        orbit: The rows.
        outputs: The outputs of the base for each row, `(R, ...)`, pulled back unless their columns move.
        actions: How outputs move. Only columns still have to be pulled back. Outputs that are not named do not move.
        selection: The members, and the term that selecting them adds to the loss.
    """

    group: FiniteGroup | ContinuousGroup
    orbit: Orbit
    outputs: dict[str, Any]
    actions: Mapping[str, Action]
    selection: Selection

    def by_member(self, name: str) -> torch.Tensor:
        """Return an output of all members, `(B, K, ...)`. If its columns move, each member is in its own frame."""
        members: torch.Tensor = self.outputs[name][self.orbit.row_of]
        return members

    def combine(
        self,
        name: str,
        combine: Combine,
        log_weights: torch.Tensor | None = None,
        losses: torch.Tensor | None = None,
        normalised: bool = False,
    ) -> tuple[torch.Tensor, Decision]:
        r"""Combine an output of the members.

        $$ M_G(x) = \text{combine}_g\; g^{-1} M(gx) $$

        Args:
            name: The output.
            combine: How to combine.
            log_weights: `(B, K)` log-weights of the members, or `None` for equal weights. Those that the selection
                itself gives its members are added.
            losses: `(R,)` the losses that decide a choice, or `(R, ...)` those at each place of the output; by default
                those of this output. For several outputs, pass the losses of one (`losses_of`), so that all are taken
                from the same member.
            normalised: Whether the output is log-probabilities, to be renormalised.

        Returns:
            `(B, ...)`, and the decision.
        """
        values, action = self._columns(name)
        if self.selection.log_weights is not None:
            log_weights = joint_log_weights(log_weights, self.selection.log_weights)
        return fold_rows(self.orbit, action, combine, values, log_weights, losses, normalised)

    def best(self, name: str, combine: Combine, log_weights: torch.Tensor | None = None) -> torch.Tensor | None:
        """Return the column with the largest value in what `combine` would return, where that takes less time.

        Args:
            name: The output.
            combine: How to combine.
            log_weights: As in `combine`.

        Returns:
            `(B,)` int64; `None` to combine first, as where several columns are the largest, or several members tie.
        """
        values, action = self._columns(name)
        wide = _widened(values)
        at_once = self.selection.log_weights is None and self.orbit.pulls_at_once(action, wide)
        return combine.best_of_members(action, wide, log_weights) if at_once else None

    def _columns(self, name: str) -> tuple[torch.Tensor, ColumnAction]:
        """Return an output, and how its columns move."""
        values, action = self.outputs[name], self.actions.get(name)
        if not isinstance(action, ColumnAction):
            return values, TrivialAction(self.group, values.device)
        return values, action.to(values.device)


@dataclass
class OrbitReader:
    """How the orbits of tensors are read.

    Args:
        inputs: How the group acts on each input that moves, by name. The first one gives the batch size.
        outputs: How it acts on each output, by name; outputs that are not named do not move. Columns are pulled back
            when they are combined, all else as soon as it is read. In the second case equal members do not share a
            row, because different elements pull them back.
        chunk: How many members of each orbit go through the base at once; `None` for all.
        piece: The most rows that a CPU takes at once in evaluation; `None` for all.
        distinct: Whether to look for equal members, so that they share a row, and rows lie in an order that does not
            depend on which member was given. That costs |G| motions and a sort. A base that costs less than that reads
            every member, in the order of the elements; the members are then looked at only where two of them tie.
    """

    inputs: Mapping[str, Action]
    outputs: Mapping[str, Action] = field(default_factory=dict)
    chunk: int | None = None
    piece: int | None = None
    distinct: bool = True

    def read(
        self,
        base: Any,
        run: Callable[[dict[str, Any]], Outputs],
        given: Mapping[str, Any],
        selection: Selection,
        what: str = "samples",
    ) -> OrbitRows:
        """Run a base on the distinct members of the orbits of a batch.

        Args:
            base: The base.
            run: Calls it on rows, given by name, and returns its outputs by name.
            given: The arguments of the base: inputs that move, tensors with one entry per sample, and anything else.
            selection: The members.
            what: The samples in words, for a message.

        Raises:
            ActionError: For data that the group cannot act on, or no data.
            UnsupportedModelError: If memory is not sufficient, with advice.

        Cost: one base forward per distinct member.
        """
        for name in self.inputs:
            check_batch(given[name], name)
        name, action = next(iter(self.inputs.items()))
        first, group = given[name], action.group
        passing = _passed_on(selection)
        if isinstance(selection, WholeSelection) and self._reads_whole(selection, passing):
            orbit = self._whole(given, selection)
            with advice_on_memory(what, orbit.members, self.chunk, first.device):
                outputs = self._read_whole(run, given, orbit)
            return OrbitRows(group, orbit, outputs, self.outputs, selection)
        size = None if self.chunk is None else self.chunk * first.shape[0]
        piece = self._piece(base, first)
        # Equal members that pass gradients by different weights have a row each.
        shared = shares_rows(base, piece or size) and (passing is None or passing.shape[1] == 1)
        orbit = self._orbits(given, selection, shared)
        if piece is not None and (size is None or piece < size):
            size = evenly(orbit.rows, piece)
        with advice_on_memory(what, orbit.members, self.chunk, first.device):
            read = partial(self._read_rows, run, given, orbit, passing)
            parts = [part for _, part in in_chunks(base, orbit.rows, size, read)]
            outputs = {name: _join([part[name] for part in parts]) for name in parts[0]}
        return OrbitRows(group, orbit, outputs, self.outputs, selection)

    def _reads_whole(self, selection: WholeSelection, passing: torch.Tensor | None) -> bool:
        """Return whether all members of all orbits are made and read together."""
        at_once = self.chunk is None or self.chunk >= selection.order
        return at_once and not self.distinct and self.piece is None and passing is None

    def _whole(self, given: Mapping[str, Any], selection: WholeSelection) -> Orbit:
        """Return a row for each member of whole orbits, in the order of the elements."""
        # One member has nothing to tie with, and a graph that is traced cannot look whether members tie.
        if selection.order == 1 or torch.compiler.is_exporting():
            return Orbit.start(selection.elements, shared=False)
        return WholeOrbit(selection, partial(self._keys, given, selection))

    def _piece(self, base: Any, first: torch.Tensor) -> int | None:
        """Return the most rows that go through the base together, if a CPU evaluates it."""
        return self.piece if self.piece is not None and evaluates_on_cpu(base, first) else None

    def _orbits(self, given: Mapping[str, Any], selection: Selection, shared: bool) -> Orbit:
        """Return rows for some members; if `distinct`, in an order that does not depend on which one was given."""
        elements = selection.elements
        shared = shared and all(isinstance(action, ColumnAction) for action in self.outputs.values())
        if elements.dim() > 2:  # members of a continuous group cannot be listed, so they have no keys
            return Orbit.start(elements, shared=False)
        # In a part of the group, equal members stand for different numbers of elements, but a row has one weight.
        group = next(iter(self.inputs.values())).group
        shared = shared and elements.shape[1] in (1, group.order)
        # There is nothing to order and share, or a graph is traced, with its rows in the order of the elements.
        if elements.shape[1] == 1 or torch.compiler.is_exporting():
            return Orbit.start(elements, shared=False)
        if not self.distinct and isinstance(selection, WholeSelection):
            return self._whole(given, selection)
        if not self.distinct:
            rank = Orbit.start(elements, shared=False).rank
            return SeparateOrbit(elements, rank, False, partial(self._keys, given, selection))
        return Orbit.of_keys(elements, self._keys(given, selection), shared)

    @torch.no_grad()
    def _keys(self, given: Mapping[str, Any], selection: Selection) -> torch.Tensor:
        """Return a key of each member, `(B, K)`, of all its inputs together."""
        keys = [action.keys(given[name]) for name, action in self.inputs.items()]
        total = reduce(lambda joint, key: joint * _ODD + key, keys)
        return total.gather(1, selection.elements)

    def _read_rows(
        self,
        run: Callable[[dict[str, Any]], Outputs],
        given: Mapping[str, Any],
        orbit: Orbit,
        passing: torch.Tensor | None,
        rows: slice,
    ) -> dict[str, Any]:
        """Return the outputs of the base for some rows, moved back."""
        batch, elements = orbit.batch_of_row[rows], orbit.element_of_row[rows]
        weights = None if passing is None else passing[batch, orbit.slot_of_row[rows]]
        values = repeat_rows(given, batch, orbit.elements.shape[0])
        for name, action in self.inputs.items():
            x = values[name]
            values[name] = action.apply(elements, x)
            if weights is not None and x.is_floating_point():
                values[name] = values[name] + _weighted(weights, action.apply, x)
        return self._moved_back(run(values), orbit, rows, weights)

    def _read_whole(
        self, run: Callable[[dict[str, Any]], Outputs], given: Mapping[str, Any], orbit: Orbit
    ) -> dict[str, Any]:
        """Return the same for all members of all orbits, which are made together."""
        others = {name: value for name, value in given.items() if name not in self.inputs}
        values = repeat_rows(others, orbit.batch_of_row, orbit.members[0]) if others else {}
        for name, action in self.inputs.items():
            values[name] = action.orbit(given[name]).flatten(0, 1)
        return self._moved_back(run(values), orbit, slice(None), None)

    def _moved_back(self, outputs: Outputs, orbit: Orbit, rows: slice, weights: torch.Tensor | None) -> dict[str, Any]:
        """Return outputs of the base for some rows, moved back, unless their columns move."""
        said = dict(outputs)
        for name, action in self.outputs.items():
            if name not in said:
                raise self._strays(said)
            value, columns = said[name], isinstance(action, ColumnAction)
            if value is None or (columns and weights is None):
                continue
            if (
                weights is not None and value.is_floating_point()
            ):  # in the frame of the member, because columns are pulled back later
                value = value + action.apply(orbit.element_of_row[rows], _weighted(weights, action.invert, value))
            said[name] = value if columns else action.invert(orbit.element_of_row[rows], value)
        return said

    def _strays(self, said: Mapping[str, Any]) -> ActionError:
        """Return the error about outputs that the base does not return."""
        strays = sorted(self.outputs.keys() - said.keys())
        return ActionError(
            f"The group acts on the outputs {', '.join(map(repr, strays))}, but the base returns "
            f"{', '.join(map(repr, said))}: give each action the name of an output."
        )


def _passed_on(selection: Selection) -> torch.Tensor | None:
    """Return the weights by which a selection passes gradients, if any are needed."""
    weights = selection.passing
    return weights if weights is not None and weights.requires_grad and torch.is_grad_enabled() else None


def _weighted(
    weights: torch.Tensor, move: Callable[[int, torch.Tensor], torch.Tensor], x: torch.Tensor
) -> torch.Tensor:
    """Return the sum of all motions of some rows, `(R, ...)`, weighted by `(R, G)`: one member in memory at a time.

    The weights are zero. So the sum is zero too, but its gradient is not.
    """
    shares = weights.to(x.dtype).view(*weights.shape, *[1] * (x.dim() - 1)).unbind(1)
    return sum((share * move(g, x) for g, share in enumerate(shares)), torch.zeros_like(x))


def fold_rows(
    orbit: Orbit,
    action: ColumnAction,
    combine: Combine,
    values: torch.Tensor,
    log_weights: torch.Tensor | None = None,
    losses: torch.Tensor | None = None,
    normalised: bool = False,
) -> tuple[torch.Tensor, Decision]:
    """Combine the values of the rows of orbits, in float32 or more: in half precision, weights would not add up.

    Args:
        orbit: The rows.
        action: How their columns move.
        combine: How to combine.
        values: `(R, ...)`, with the columns in the last axis.
        log_weights: `(B, K)` log-weights of the members, or `None` for equal weights.
        losses: `(R,)` the losses that decide a choice, or `(R, ...)` those at each place of the values; by default
            those of the values, which must then be scores.
        normalised: Whether the values are log-probabilities, to be renormalised.

    Returns:
        `(B, ...)` of the values' own dtype, and the decision.

    Raises:
        ActionError: For values without the columns that the group moves.
        ConfigurationError: For a choice without `losses` among values that are not scores.
    """
    action = action.to(values.device)
    if action.width not in (None, values.shape[-1]):
        raise ActionError(
            f"The group moves {action.width} columns, but the output has the shape {tuple(values.shape)}: its last "
            "axis must be these columns."
        )
    wide = _widened(values)
    if values.dim() == 1:  # one number a row is one column
        wide = wide.unsqueeze(-1)
    if losses is None and combine.loss is not None:
        losses = losses_of(combine.loss, wide)
    if not normalised and orbit.pulls_at_once(action, wide):
        found = combine.of_members(orbit, action, wide, log_weights, losses)
        if found is not None:
            return found if wide is values else (found[0].to(values.dtype), found[1])
    fold = combine.fold(orbit, action, normalised)
    rows = None
    if log_weights is not None:
        rows = log_weights[orbit.batch_of_row, orbit.slot_of_row].to(wide.dtype)
        rows = rows.view(-1, *[1] * (wide.dim() - 2))
    fold.add(0, wide, rows, losses=losses)
    combined = fold.result().to(values.dtype)
    return combined.view(-1, *values.shape[1:]), fold.decision()


def _widened(values: torch.Tensor) -> torch.Tensor:
    """Return values in float32 at least."""
    if values.dtype is torch.float32:  # `to` takes longer to see that
        return values
    return values.to(torch.promote_types(values.dtype, torch.float32))


def losses_of(loss: ProxyLoss, scores: torch.Tensor) -> torch.Tensor:
    """Return the loss of each row, `(R,)`, from its scores over classes or actions.

    Args:
        loss: The loss.
        scores: `(R, V)` or `(R, T, V)` logits.

    Raises:
        ConfigurationError: For outputs that are not scores: pass `losses=` of one that is.
    """
    if scores.dim() not in (2, 3):
        raise ConfigurationError(
            f"A member is chosen by scores, (rows, classes), but this output has the shape {tuple(scores.shape)}: "
            "pass losses= of an output that holds scores."
        )
    if scores.requires_grad:
        scores = scores.detach()
    scores = scores if loss.of_logits else scores.log_softmax(-1)
    return loss.of_steps(scores) if scores.dim() == 2 else loss(scores)  # of one step, or of several


def check_batch(value: object, name: str, what: str = "samples") -> None:
    """Refuse an empty batch, or anything that is not a batch.

    Args:
        value: The given value.
        name: The name of the argument.
        what: The samples in words, for the message.

    Raises:
        ActionError: For anything but a tensor with numbers in it.
    """
    if not isinstance(value, torch.Tensor):
        raise ActionError(
            f"{name}= is a {type(value).__name__}, but the group acts on tensors: pass the output of a processor, "
            "with return_tensors='pt'."
        )
    if value.numel() == 0:
        raise ActionError(f"There are no {what}: {name} has the shape {tuple(value.shape)}. Pass one or more.")


def _join(parts: list[Any]) -> Any:
    """Return the rows of all chunks, or `None`."""
    return parts[0] if len(parts) == 1 or parts[0] is None else torch.cat(parts)
