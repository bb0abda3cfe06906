"""The reader of tensors, against a loop over the group that is written as the equation reads."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hf_equi.actions import ColumnAction, PixelAction, PointAction, VectorAction
from hf_equi.bases.orbit_reader import OrbitReader, OrbitRows, check_batch, fold_rows, losses_of
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.groups import ImageGroup, MatrixGroup
from hf_equi.symmetrizers import (
    Entropy,
    Equitune,
    Equizero,
    Identity,
    MaxProbability,
    MaxSimilarity,
    Mean,
    Orbit,
    Selection,
)
from hf_equi.symmetrizers.combine import LargestOfEach, LeastLoss
from hf_equi.symmetrizers.orbit import SeparateOrbit, WholeOrbit
from hf_equi.symmetrizers.select import WholeSelection

GROUP = ImageGroup.rotations(4)
PIXELS = PixelAction(GROUP)
POINTS = PointAction(GROUP)
COLUMNS = ColumnAction(GROUP, [[0, *((v + g) % 4 + 1 for v in range(4))] for g in range(4)])


class Base(nn.Module):
    """Reads pixels, a point, a number for each sample and a scale; says columns, a map, a point and features."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(9 + 2 + 1, 5 + 9 + 2 + 3)
        self.calls = []

    def forward(self, rows):
        self.calls.append({name: getattr(value, "shape", value) for name, value in rows.items()})
        pixels, point, number = rows["pixels"], rows["point"], rows["number"]
        said = rows["scale"] * self.layer(torch.cat([pixels.flatten(1), point, number[:, None]], 1))
        columns, maps, point, features = said.split([5, 9, 2, 3], 1)
        said = {"columns": columns.log_softmax(-1), "map": maps.view(-1, 1, 3, 3), "point": point}
        return {**said, "features": features, "nothing": None}


OUTPUTS = {"columns": COLUMNS, "map": PIXELS, "point": POINTS}


def batch():
    torch.manual_seed(0)
    pixels, point = torch.randn(3, 1, 3, 3, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)
    pixels[1] = 1.0
    point[1] = 0.0  # every element fixes the second sample
    pixels[2] = pixels[2] + pixels[2].rot90(2, (-2, -1))  # the half turn fixes the pixels, and moves the point
    number = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    return {"pixels": pixels, "point": point, "number": number, "scale": torch.tensor(2.0)}


@pytest.fixture
def base():
    torch.manual_seed(1)
    return Base().double().eval()


def read(base, given, outputs=None, method=None, **settings) -> OrbitRows:
    reader = OrbitReader({"pixels": PIXELS, "point": POINTS}, OUTPUTS if outputs is None else outputs, **settings)
    selection = (method or Equitune()).select(PIXELS, given["pixels"])
    return reader.read(base, base, given, selection)


def members(base, given):
    """Of each output what every element says, pulled back: `(B, G, ...)`."""
    found = []
    for g in range(GROUP.order):
        said = base({**given, "pixels": PIXELS.apply(g, given["pixels"]), "point": POINTS.apply(g, given["point"])})
        found.append({name: OUTPUTS[name].invert(g, value) for name, value in said.items() if name in OUTPUTS})
        found[-1]["features"] = said["features"]
    return {name: torch.stack([one[name] for one in found], 1) for name in found[0]}


@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_outputs_are_the_mean_of_what_the_members_say(base, chunk):
    given, expected = batch(), members(base, batch())
    rows = read(base, given, chunk=chunk)
    for name in ("columns", "map", "point", "features"):
        combined, _ = rows.combine(name, Mean())
        torch.testing.assert_close(combined, expected[name].mean(1), rtol=0, atol=1e-12)
    assert rows.outputs["nothing"] is None
    laws, _ = rows.combine("columns", Mean(), normalised=True)
    torch.testing.assert_close(laws, expected["columns"].mean(1).log_softmax(-1), rtol=0, atol=1e-12)


def test_members_weigh_and_are_chosen(base):
    given, expected = batch(), members(base, batch())
    rows, weights = read(base, given), torch.rand(3, 4, dtype=torch.float64)
    weights[1] = 1  # of equal members
    shares = 4 * weights / weights.sum(1, keepdim=True)
    for name in ("columns", "map", "point"):
        combined, _ = rows.combine(name, Mean(), shares.log())
        shaped = weights.view(3, 4, *[1] * (expected[name].dim() - 2))
        torch.testing.assert_close(combined, (shaped * expected[name]).sum(1) / shaped.sum(1), rtol=0, atol=1e-12)
    losses = MaxProbability().of_steps(rows.outputs["columns"])
    chosen = -expected["columns"].exp().amax(-1)  # (B, G)
    for name in ("columns", "point"):
        combined, decision = rows.combine(name, Equizero().combine, losses=losses)
        best = chosen.argmin(1)
        torch.testing.assert_close(combined, expected[name][torch.arange(3), best], rtol=0, atol=1e-12)
        assert decision.chosen_element[[0, 2]].tolist() == best[[0, 2]].tolist()


def test_equal_members_share_a_row_unless_what_is_said_moves_otherwise(base):
    given = batch()
    rows = read(base, given, {"columns": COLUMNS})
    assert rows.orbit.counts.tolist() == [4, 1, 4]  # the third by its point alone
    assert base.calls[-1]["pixels"] == (9, 1, 3, 3)
    assert base.calls[-1]["number"] == (9,)
    assert base.calls[-1]["scale"] == ()
    read(base, given)
    assert base.calls[-1]["pixels"] == (12, 1, 3, 3)


@pytest.mark.parametrize("chunk", [None, 2])
@pytest.mark.parametrize("outputs", [OUTPUTS, {"columns": COLUMNS}])
def test_without_a_look_at_the_members_each_has_a_row_and_all_is_the_same(base, monkeypatch, outputs, chunk):
    given = batch()
    expected = [read(base, given, outputs).combine("columns", method.combine) for method in (Equitune(), Equizero())]
    monkeypatch.setattr(PixelAction, "keys", None)
    base.calls.clear()
    rows = read(base, given, outputs, distinct=False, chunk=chunk)
    assert [call["pixels"][0] for call in base.calls] == ([12] if chunk is None else [6, 6])
    assert [call["number"][0] for call in base.calls] == [call["pixels"][0] for call in base.calls]
    torch.testing.assert_close(rows.combine("columns", Mean())[0], expected[0][0], rtol=0, atol=1e-12)
    monkeypatch.undo()  # the second sample's members tie
    chosen, decision = rows.combine("columns", Equizero().combine)
    torch.testing.assert_close(chosen, expected[1][0], rtol=0, atol=1e-12)
    assert torch.equal(decision.chosen_element, expected[1][1].chosen_element)


def test_members_that_differ_in_any_of_several_inputs_are_told_apart():
    """Of four inputs, each of which alone is moved by one sample."""
    values = [torch.zeros(4, 2, dtype=torch.float64) for _ in range(4)]
    for sample, value in enumerate(values):
        value[sample] = torch.tensor([1.0, 2.0])
    given = {str(place): value for place, value in enumerate(values)}
    inputs = dict.fromkeys(given, POINTS)
    selection = Equitune().select(POINTS, values[0])
    rows = OrbitReader(inputs).read(nn.Identity(), lambda rows: {"sum": sum(rows.values())}, given, selection)
    assert rows.orbit.counts.tolist() == [4, 4, 4, 4]
    still = {name: torch.zeros_like(value) for name, value in given.items()}
    rows = OrbitReader(inputs).read(nn.Identity(), lambda rows: {"sum": sum(rows.values())}, still, selection)
    assert rows.orbit.counts.tolist() == [1, 1, 1, 1]


def test_what_comes_in_decides_nothing_but_its_frame(base):
    given = batch()
    rows = read(base, given)
    for g in range(GROUP.order):
        moved = {**given, "pixels": PIXELS.apply(g, given["pixels"]), "point": POINTS.apply(g, given["point"])}
        again = read(base, moved)
        for name in ("columns", "map", "point", "features"):
            first, second = (each.combine(name, Mean())[0] for each in (rows, again))
            required = OUTPUTS[name].apply(g, first) if name in OUTPUTS else first
            torch.testing.assert_close(second, required, rtol=0, atol=1e-12)
        kept = read(base, moved, {"columns": COLUMNS})
        assert torch.equal(kept.outputs["features"], read(base, given, {"columns": COLUMNS}).outputs["features"])


def test_a_network_of_points_is_symmetrised_over_the_cube():
    """It says a number, which does not move, and a force, which does."""
    cube = MatrixGroup.cube(mirrors=True)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 4)).double()

    def say(rows):
        energy, force = network(rows["points"]).split([1, 3], 1)
        return {"energy": energy, "force": force}

    def read(points):
        reader = OrbitReader({"points": PointAction(cube)}, {"force": VectorAction(cube)})
        rows = reader.read(network, say, {"points": points}, Equitune().select(PointAction(cube), points))
        return [rows.combine(name, Mean())[0] for name in ("energy", "force")]

    points = torch.randn(3, 4, 3, dtype=torch.float64)
    energy, force = read(points)
    literal = torch.stack([say({"points": points @ matrix.T})["force"] @ matrix for matrix in cube.matrices])
    torch.testing.assert_close(force, literal.mean(0), rtol=0, atol=1e-12)
    elements = torch.tensor([1, 7, 40])
    moved_energy, moved_force = read(PointAction(cube).apply(elements, points))
    torch.testing.assert_close(moved_energy, energy, rtol=0, atol=1e-12)
    torch.testing.assert_close(moved_force, VectorAction(cube).apply(elements, force), rtol=0, atol=1e-12)
    assert (say({"points": points})["energy"] - energy).abs().max() > 0.01


def test_gradients_reach_the_base(base):
    given = batch()
    loss, required = read(base, given).combine("point", Mean())[0].sum(), members(base, given)["point"].mean(1).sum()
    ours = torch.autograd.grad(loss, list(base.parameters()))
    for received, wanted in zip(ours, torch.autograd.grad(required, list(base.parameters())), strict=True):
        torch.testing.assert_close(received, wanted, rtol=0, atol=1e-12)


def test_a_cpu_that_evaluates_takes_pieces(base):
    with torch.no_grad():
        whole = read(base, batch()).outputs["point"]
        base.calls.clear()
        pieces = read(base, batch(), piece=5).outputs["point"]
    torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-12)
    assert [call["pixels"][0] for call in base.calls] == [4, 4, 4]  # as many calls as five at once, and even
    base.calls.clear()
    read(base, batch(), piece=5)  # autograd would keep what pieces let go
    assert [call["pixels"][0] for call in base.calls] == [12]


def test_one_member_is_read_as_it_is(base):
    given = batch()
    rows = read(base, given, method=Identity())
    torch.testing.assert_close(rows.combine("map", Mean())[0], members(base, given)["map"][:, 0])
    assert rows.by_member("columns").shape == (3, 1, 5)


def test_numbers_of_members_are_columns_of_their_own(base):
    given, expected = batch(), members(base, batch())
    rows = read(base, given)
    rows.outputs["value"] = rows.outputs["features"][:, 0]
    weights = torch.rand(3, 4, dtype=torch.float64)
    weights[1] = 1
    combined, _ = rows.combine("value", Mean(), (4 * weights / weights.sum(1, keepdim=True)).log())
    required = (weights * expected["features"][..., 0]).sum(1) / weights.sum(1)
    torch.testing.assert_close(combined, required, rtol=0, atol=1e-12)


def test_scores_choose_by_their_own_losses_and_outputs_together_by_one(base):
    rows, expected = read(base, batch()), members(base, batch())
    loss = MaxProbability()
    combined, decision = rows.combine("columns", Equizero(loss).combine)
    best = (-expected["columns"].softmax(-1).amax(-1)).argmin(1)
    torch.testing.assert_close(combined, expected["columns"][torch.arange(3), best], rtol=0, atol=1e-12)
    assert (decision.margin >= 0).all()
    point, _ = rows.combine("point", Equizero(loss).combine, losses=losses_of(loss, rows.outputs["columns"]))
    torch.testing.assert_close(point, expected["point"][torch.arange(3), best], rtol=0, atol=1e-12)
    with pytest.raises(ConfigurationError, match=r"this output has the shape \(12, 1, 3, 3\): pass losses="):
        rows.combine("map", Equizero(loss).combine)


def test_outputs_and_columns_that_there_are_not_are_named(base):
    with pytest.raises(ActionError, match="acts on the outputs 'mapp', but the base returns 'columns', 'map'"):
        read(base, batch(), {"mapp": PIXELS})
    rows = read(base, batch(), {"features": COLUMNS})
    with pytest.raises(ActionError, match="The group moves 5 columns, but the output has the shape"):
        rows.combine("features", Mean())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("combine", [Mean(), Mean("probabilities"), LargestOfEach(), LeastLoss(MaxProbability())])
def test_whole_orbits_at_once_are_those_of_a_fold(combine, weighted):
    """Where most columns move, no fold is needed. It gives the same values, choices and gradients."""
    action, elements = COLUMNS, torch.arange(4).expand(6, -1)
    assert action.spread is not None
    log_weights = torch.randn(6, 4, dtype=torch.float64) if weighted else None
    found = []
    for whole in (False, True):
        scores = torch.randn(24, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
        orbit = WholeOrbit(WholeSelection(6, 4, "cpu")) if whole else SeparateOrbit(elements, elements, False)
        for rows in (scores.detach(), scores):
            values, decision = fold_rows(orbit, action, combine, rows, log_weights)
            found.append((values.detach(), decision.chosen_element, decision.margin))
        found.append(torch.autograd.grad(values.square().sum(), scores))
    torch.testing.assert_close(found[:3], found[3:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    ("combine", "finds"),
    [
        (Mean(), True),
        (LeastLoss(MaxProbability()), True),
        (LeastLoss(MaxSimilarity()), True),
        (Mean("probabilities"), False),
        (LargestOfEach(), False),
        (LeastLoss(Entropy()), False),
    ],
)
def test_the_best_columns_of_whole_orbits_are_those_of_what_is_combined(combine, finds, ties):
    """They are found without combining, unless some tie, or the combination depends on more than the best columns."""
    scores, selection = torch.randn(24, 5, generator=torch.Generator().manual_seed(0)), WholeSelection(6, 4, "cpu")
    if ties:
        scores[8:12] = 1.0  # all members and all columns of the third orbit
    rows = OrbitRows(GROUP, WholeOrbit(selection), {"columns": scores}, OUTPUTS, selection)
    best = rows.best("columns", combine)
    assert (best is not None) == (finds and not ties)
    assert best is None or torch.equal(best, rows.combine("columns", combine)[0].argmax(1))
    if isinstance(combine, Mean):
        assert rows.best("columns", combine, torch.zeros(6, 4)) is None


def test_columns_with_the_same_scores_in_another_order_tie_to_the_bit():
    scores, selection = torch.tensor([0.0, 1e8, 1.0, -1e8, 1.0]).repeat(4, 1), WholeSelection(1, 4, "cpu")
    rows = OrbitRows(GROUP, WholeOrbit(selection), {"columns": scores}, OUTPUTS, selection)
    assert len(set(rows.combine("columns", Mean())[0][0, 1:].tolist())) == 1
    assert rows.best("columns", Mean()) is None


def test_halves_are_folded_in_float32():
    orbit = Orbit.start(torch.arange(4)[None], shared=False)
    values = torch.tensor([[1.0, 2, 3, 4]]).T.bfloat16().expand(4, 5)
    combined, _ = fold_rows(orbit, COLUMNS, Mean(), values)
    assert combined.dtype == torch.bfloat16
    torch.testing.assert_close(combined.float(), torch.full((1, 5), 2.5))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "pixels= is a list, but the group acts on tensors"),
        (torch.zeros(0, 2), "There are no samples: pixels"),
    ],
)
def test_what_is_no_batch_is_refused(base, value, message):
    with pytest.raises(ActionError, match=message):
        check_batch(value, "pixels")
    reader = OrbitReader({"pixels": PIXELS})
    with pytest.raises(ActionError, match=message):
        reader.read(base, base, {"pixels": value}, Selection(torch.zeros(1, 1, dtype=torch.long)))


@pytest.mark.parametrize("name", ["columns", "map", "point", "features"])
def test_weights_that_are_zero_pass_gradients_and_change_no_value(name):
    """Through what the base reads, and through what moves back: against a finite difference."""
    given, base, chosen = batch(), Base().double(), torch.tensor([1, 0, 3])
    inputs = {"pixels": PIXELS, "point": POINTS}
    weights = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    reader = OrbitReader(inputs, OUTPUTS)

    def said(selection):
        rows = reader.read(base, base, given, selection)
        return rows.combine(name, Mean())[0] if name == "columns" else rows.outputs[name]

    value = said(Selection(chosen[:, None], passing=weights[:, None]))
    assert torch.equal(value, said(Selection(chosen[:, None])))
    probe = torch.randn_like(value)
    gradient = torch.autograd.grad((value * probe).sum(), weights)[0]

    def moved(action, shares, move, x):
        return sum(shares[:, g].view(-1, *[1] * (x.dim() - 1)) * getattr(action, move)(g, x) for g in range(4))

    def literal(shares):
        read = {
            key: action.apply(chosen, given[key]) + moved(action, shares, "apply", given[key])
            for key, action in inputs.items()
        }
        out = base({**given, **read})[name]
        action = OUTPUTS.get(name)
        back = out if action is None else action.invert(chosen, out) + moved(action, shares, "invert", out)
        return (back * probe).sum()

    for row, g in ((0, 0), (1, 2), (2, 3)):
        step = torch.zeros(3, 4, dtype=torch.float64)
        step[row, g] = 1e-6
        slope = (literal(step) - literal(-step)) / 2e-6
        torch.testing.assert_close(gradient[row, g], slope, atol=1e-7, rtol=1e-6)
    with torch.no_grad():
        assert not said(Selection(chosen[:, None], passing=weights[:, None])).requires_grad
