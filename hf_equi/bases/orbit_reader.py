r"""Run a base on the orbits of tensors: images, states, point clouds, and whatever else comes as numbers.

    x ── select ──► {gx}, equal ones shared ──► rows ── base ──► {M(gx)} ── pull back ──► {g⁻¹M(gx)} ── fold ──► M_G(x)

It is one of two readers. Texts have the other, `hf_equi.generation.orbit_forward`, because of their cache.

Letters: B batch, G group, K members asked for, R rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from hf_equi.actions import Action, ColumnAction, TrivialAction
from hf_equi.bases.chunks import evenly, in_chunks, shares_rows
from hf_equi.bases.memory import advice_on_memory
from hf_equi.bases.rows import repeat_rows
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.groups import FiniteGroup
from hf_equi.symmetrizers import Combine, Decision, Orbit, ProxyLoss, Selection

__all__ = ["OrbitReader", "OrbitRows", "Outputs", "check_batch", "fold_rows", "losses_of"]

Outputs = Mapping[str, "torch.Tensor | None"]
"""What a base says of some rows, by name, `(rows, ...)` each."""

# Keys of several inputs are added up, each times an odd number of its own.
_STEP = -0x61C8864680B583EA


@dataclass(frozen=True)
class OrbitRows:
    """What a base says of the orbits of a batch.

    Args:
        group: The group.
        orbit: The rows.
        outputs: What the base says of each row, `(R, ...)`, pulled back unless its columns move.
        actions: How the columns of outputs move; nothing moves in those that are not named.
        selection: The members, and what selecting them adds to the loss.
    """

    group: FiniteGroup
    orbit: Orbit
    outputs: dict[str, Any]
    actions: Mapping[str, ColumnAction]
    selection: Selection

    def by_member(self, name: str) -> torch.Tensor:
        """An output of all members, `(B, K, ...)`, each in its own frame where its columns move."""
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
            combine: How.
            log_weights: `(B, K)` of the members, or `None` for equal ones.
            losses: `(R,)` what a choice goes by; by default that of this output. Of several outputs pass the losses of
                one (`losses_of`), so that all are those of one member.
            normalised: Whether the output is log-probabilities, to be renormalised.

        Returns:
            `(B, ...)`, and what was decided.
        """
        values = self.outputs[name]
        action = self.actions.get(name) or TrivialAction(self.group, values.device)
        return fold_rows(self.orbit, action, combine, values, log_weights, losses, normalised)


@dataclass(frozen=True)
class OrbitReader:
    """How the orbits of tensors are read.

    Args:
        inputs: How the group acts on each input that moves, by name. The first is the one that batches are counted by.
        outputs: How it acts on each output, by name; those not named do not move. Columns are pulled back where they
            are combined, all else as soon as it is read. Then equal members do not share a row, as different elements
            pull them back.
        chunk: Members of each orbit that go through the base at once; `None` for all.
        piece: Rows that a CPU takes at once, at most, when it evaluates; `None` for all.
    """

    inputs: Mapping[str, Action]
    outputs: Mapping[str, Action] = field(default_factory=dict)
    chunk: int | None = None
    piece: int | None = None

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
            run: Calls it on rows, given by name, and gives what it says by name.
            given: What the base is given: the inputs that move, what has one entry a sample, and anything else.
            selection: The members.
            what: The samples in words, for a message.

        Raises:
            ActionError: For data that the group does not act on, or none.
            UnsupportedModelError: Where memory does not suffice, with advice.

        Cost: one base forward a distinct member.
        """
        for name in self.inputs:
            check_batch(given[name], name)
        first = given[next(iter(self.inputs))]
        size = None if self.chunk is None else self.chunk * first.shape[0]
        piece = self._piece(base, first)
        orbit = self._orbits(given, selection.elements, shares_rows(base, piece or size))
        if piece is not None and (size is None or piece < size):
            size = evenly(orbit.rows, piece)
        with advice_on_memory(f"{first.shape[0]} {what}", orbit.elements, self.chunk, first.device):
            read = partial(self._read_rows, run, given, orbit)
            parts = [part for _, part in in_chunks(base, orbit.rows, size, read)]
            outputs = {name: _join([part[name] for part in parts]) for name in parts[0]}
        columns = {name: action for name, action in self.outputs.items() if isinstance(action, ColumnAction)}
        group = next(iter(self.inputs.values())).group
        return OrbitRows(group, orbit, outputs, columns, selection)

    def _piece(self, base: Any, first: torch.Tensor) -> int | None:
        """Rows that go through the base together at most, where it is a CPU that evaluates."""
        # In training a batch norm reads all rows, and autograd keeps what pieces would let go.
        trains = torch.is_grad_enabled() or base.training
        whole = trains or first.device.type != "cpu" or torch.compiler.is_exporting()  # one graph for any batch
        return None if whole else self.piece

    def _orbits(self, given: Mapping[str, Any], elements: torch.Tensor, shared: bool) -> Orbit:
        """Rows for some members, in an order that does not depend on which came in."""
        shared = shared and all(isinstance(action, ColumnAction) for action in self.outputs.values())
        # Nothing to order and to share; or a graph is traced, whose rows lie in the order of the elements.
        if elements.shape[1] == 1 or torch.compiler.is_exporting():
            return Orbit.start(elements, shared)
        with torch.no_grad():
            keys = [action.keys(given[name]) for name, action in self.inputs.items()]
        total = sum((key * (1 + place * _STEP) for place, key in enumerate(keys[1:], 1)), keys[0])
        return Orbit.of_keys(elements, total.gather(1, elements), shared)

    def _read_rows(
        self, run: Callable[[dict[str, Any]], Outputs], given: Mapping[str, Any], orbit: Orbit, rows: slice
    ) -> dict[str, Any]:
        """What the base says of some rows, moved back."""
        batch, elements = orbit.batch_of_row[rows], orbit.element_of_row[rows]
        values = repeat_rows(given, batch, orbit.elements.shape[0])
        for name, action in self.inputs.items():
            values[name] = action.apply(elements, values[name])
        said = dict(run(values))
        if strays := sorted(self.outputs.keys() - said.keys()):
            raise ActionError(
                f"The group acts on the outputs {', '.join(map(repr, strays))}, and the base says "
                f"{', '.join(map(repr, said))}: give each action the name of an output."
            )
        for name, action in self.outputs.items():
            if not isinstance(action, ColumnAction) and said.get(name) is not None:
                said[name] = action.invert(elements, said[name])
        return said


def fold_rows(
    orbit: Orbit,
    action: ColumnAction,
    combine: Combine,
    values: torch.Tensor,
    log_weights: torch.Tensor | None = None,
    losses: torch.Tensor | None = None,
    normalised: bool = False,
) -> tuple[torch.Tensor, Decision]:
    """Combine what is known of the rows of orbits, in float32 at least: in half precision weights would not add up.

    Args:
        orbit: The rows.
        action: How their columns move.
        combine: How.
        values: `(R, ...)`, with the columns in the last axis.
        log_weights: `(B, K)` of the members, or `None` for equal ones.
        losses: `(R,)` what a choice goes by; by default that of the values, which have to be scores then.
        normalised: Whether the values are log-probabilities, to be renormalised.

    Returns:
        `(B, ...)` of the values' own dtype, and what was decided.

    Raises:
        ActionError: For values without the columns that the group moves.
        ConfigurationError: For a choice among values that are not scores, without `losses`.
    """
    action = action.to(values.device)
    if len(action.moved) and values.shape[-1] != (columns := action.permutations.shape[1]):
        raise ActionError(
            f"The group moves {columns} columns, and the output has the shape {tuple(values.shape)}: its last axis "
            "has to be these columns."
        )
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    if values.dim() == 1:  # one number a row is one column
        wide = wide.unsqueeze(-1)
    if losses is None and combine.loss is not None:
        losses = losses_of(combine.loss, wide)
    fold = combine.fold(orbit, action, normalised)
    rows = None
    if log_weights is not None:
        rows = log_weights[orbit.batch_of_row, orbit.slot_of_row].to(wide.dtype)
        rows = rows.view(-1, *[1] * (wide.dim() - 2))
    fold.add(0, wide, rows, losses=losses)
    combined = fold.result().to(values.dtype)
    return combined.view(-1, *values.shape[1:]), fold.decision()


def losses_of(loss: ProxyLoss, scores: torch.Tensor) -> torch.Tensor:
    """The loss of each row, `(R,)`, by its scores over classes or actions.

    Args:
        loss: The loss.
        scores: `(R, V)` or `(R, T, V)` logits.

    Raises:
        ConfigurationError: For other outputs, which are not scores: pass `losses=` of one that is.
    """
    if scores.dim() not in (2, 3):
        raise ConfigurationError(
            f"A member is chosen by scores, (rows, classes), and this output has the shape {tuple(scores.shape)}: "
            "pass losses= of an output that is scores."
        )
    scores = scores.detach()
    scores = scores if loss.of_logits else scores.log_softmax(-1)
    return loss(scores.unsqueeze(1) if scores.dim() == 2 else scores)


def check_batch(value: object, name: str, what: str = "samples") -> None:
    """Refuse a batch of nothing, or what is not a batch.

    Args:
        value: What was given.
        name: As which argument.
        what: What the batch is of.

    Raises:
        ActionError: For anything but a tensor with numbers in it.
    """
    if not isinstance(value, torch.Tensor):
        raise ActionError(
            f"{name}= is a {type(value).__name__}, and the group acts on tensors: pass what a processor makes, with "
            "return_tensors='pt'."
        )
    if value.numel() == 0:
        raise ActionError(f"There are no {what}: {name} has the shape {tuple(value.shape)}. Pass one or more.")


def _join(parts: list[Any]) -> Any:
    """The rows of all chunks, or nothing."""
    return parts[0] if len(parts) == 1 or parts[0] is None else torch.cat(parts)
