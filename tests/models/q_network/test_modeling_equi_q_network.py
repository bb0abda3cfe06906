"""EquiQNetwork against loops over the group, at ties, in symmetric states, on images, and in training."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from small_q_networks import SQUARE, network, states, targets
from transformers import AutoModel, Trainer, TrainingArguments

from hf_equi import EquiQNetwork, ImageGroup, symmetrize
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.groups import ACROBOT, CARTPOLE, GRIDWORLD, EnvironmentGroup
from hf_equi.registration import method_names
from hf_equi.testing import TOLERANCES, assert_equivariant

METHODS = method_names("q_network")
ENVIRONMENTS = {
    "cart pole": (CARTPOLE, {"state_shape": 4, "num_actions": 2}),
    "acrobot": (ACROBOT, {"state_shape": 6, "num_actions": 3, "activation": "tanh"}),
    "square": (SQUARE, {}),
    "gridworld": (GRIDWORLD, {"state_shape": [3, 9, 9], "num_actions": 5, "feature_size": 16}),
}


def literal(base, group, method, x):
    """Q_G of one state, as the equations read, with matrices or turned images."""
    values = []
    for g in range(group.order):
        moved = x.rot90(g, (-2, -1)) if group.states is None else group.states[g].to(x.dtype) @ x
        said = base(moved[None]).q_values[0]
        values.append(said[group.permutations[g]])  # (g⁻¹y)[a] = y[g(a)]
    if method == "equitune":
        return torch.stack(values).mean(0)
    sure = [float(value.softmax(0).max()) for value in values]
    return values[sure.index(max(sure))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ENVIRONMENTS)
@torch.no_grad()
def test_values_are_those_of_a_loop_and_move_with_the_state(name, dtype):
    group, settings = ENVIRONMENTS[name]
    base = network(**settings).to(dtype)
    x = states(6, *base.config.state_shape).to(dtype)
    for method in METHODS:
        model = symmetrize(base, group, method)
        out = model(x)
        assert out.q_values.dtype == dtype
        if method in ("equitune", "equizero"):
            expected = torch.stack([literal(base, group, method, one) for one in x])
            torch.testing.assert_close(out.q_values, expected, rtol=0, atol=TOLERANCES[dtype])
        if method == "identity":
            assert torch.equal(out.q_values, base(x).q_values)
            continue
        assert_equivariant(lambda x, model=model: model(x).q_values, x, model.action, model.values_action)
        moved = [model.greedy_actions(model.action.apply(g, x)) for g in range(group.order)]
        assert all(torch.equal(group.permutations[g][moved[0]], moved[g]) for g in range(group.order))


def test_the_output_says_what_decided():
    base, x = network(), states(6)
    out = symmetrize(base, SQUARE, "equizero")(x)
    sure = torch.stack([base(x @ matrix.T.float()).q_values.softmax(1).amax(1) for matrix in SQUARE.states], 1)
    assert torch.equal(out.chosen_element, sure.argmax(1))
    assert len(set(out.chosen_element.tolist())) > 1
    two = sure.topk(2, 1).values
    torch.testing.assert_close(out.margin, two[:, 0] - two[:, 1], rtol=0, atol=1e-6)
    assert symmetrize(base, SQUARE, "identity")(x).chosen_element.tolist() == [0] * 6
    canonical = symmetrize(base, SQUARE, "canonical")
    assert torch.equal(canonical(x).chosen_element, canonical.action.canonical_element(x))
    weights = symmetrize(base, SQUARE, "lambda")(x).group_weights
    torch.testing.assert_close(weights.sum(1), torch.ones(6))
    assert symmetrize(base, SQUARE)(x).chosen_element is None


@pytest.mark.parametrize("scale", [0.0, 1e4])
@torch.no_grad()
def test_ties_go_to_the_smallest_member_whichever_came_in(scale):
    """A network that is as sure of all members: of constant values, or so sure that rounding leaves no difference."""
    base, x = network(), states(6)
    base.head.weight.mul_(scale)
    model = symmetrize(base, SQUARE, "equizero")
    out = model(x)
    assert (out.margin == 0).all()
    assert len(set(out.chosen_element.tolist())) > 1
    assert_equivariant(lambda x: model(x).q_values, x, model.action, model.values_action, tolerance=1e-3 * scale)
    chosen = model.action.apply(out.chosen_element, x)
    for g in range(SQUARE.order):
        moved = model.action.apply(g, x)
        again = model.action.apply(model(moved).chosen_element, moved)
        assert torch.equal(again, chosen)


@torch.no_grad()
def test_actions_that_tie_move_with_the_state():
    base, x = network(), states(6)
    for parameter in (base.head.weight, base.head.bias):
        parameter.zero_()  # all actions tie, in every member
    model = symmetrize(base, SQUARE, "equitune")
    actions = [model.greedy_actions(model.action.apply(g, x)) for g in range(SQUARE.order)]
    assert len(set(actions[0].tolist())) > 1
    assert all(torch.equal(SQUARE.permutations[g][actions[0]], actions[g]) for g in range(SQUARE.order))


@pytest.mark.parametrize("steps", [0, 2])
@torch.no_grad()
def test_chosen_actions_are_the_best_of_the_scores_at_ties_too(steps):
    """Weights of a few values make members and actions tie in many of the states."""
    base = network(sure=1.0, num_actions=5, hidden_sizes=[4])
    if steps:
        for weight in base.parameters():
            weight.copy_((steps * weight).round() / steps)
    x = states(200).mul(steps).round() if steps else states(200)
    for method in METHODS:
        model = symmetrize(base, SQUARE, method)
        actions, values = model.greedy_actions(x), model(x).q_values
        assert torch.equal(actions, model.best_actions(values, x))
        assert torch.equal(values.gather(1, actions[:, None])[:, 0], values.amax(1))
        moves = (x.abs() != 0).all(1) & (x[:, 0].abs() != x[:, 1].abs())  # in others some element fixes the state
        for g in range(SQUARE.order) if method != "identity" else ():
            moved = model.greedy_actions(model.action.apply(g, x))
            assert torch.equal(moved[moves], SQUARE.permutations[g][actions][moves])


def test_calls_leave_nothing_behind_that_the_next_one_reads():
    """Other batches, precisions, methods, weights, threads and modes in between; each as by a new model."""
    base = network()
    model = symmetrize(base, SQUARE, "equizero")

    def check(model, x):
        fresh = symmetrize(copy.deepcopy(model.base), SQUARE, model.config.method)
        assert torch.equal(model.greedy_actions(x), fresh.greedy_actions(x))
        out, expected = model(x), fresh(x)
        for name in ("q_values", "chosen_element", "margin"):
            assert (getattr(out, name) is None) == (getattr(expected, name) is None)
            assert getattr(out, name) is None or torch.equal(getattr(out, name), getattr(expected, name))
        return out

    with torch.inference_mode():
        check(model, states(6))
    check(model, states(6)).q_values.sum().backward()  # nothing from inference mode lies in its graph
    one, actions = states(1), model.greedy_actions(states(1))
    with torch.device("meta"):
        assert torch.equal(model.greedy_actions(one), actions)
    for method in ("equitune", "identity", "canonical", "equizero"):
        model.config.method = method
        check(model, states(3))
    for dtype in (torch.float64, torch.bfloat16, torch.float32):
        check(model.to(dtype), states(6).to(dtype))
    model.load_state_dict({name: 2 * weight.detach() for name, weight in model.state_dict().items()})
    check(model, states(6))
    model.config.orbit_chunk_size = 3
    assert torch.equal(model.greedy_actions(states(6)), symmetrize(base, SQUARE, "equizero").greedy_actions(states(6)))
    model.config.orbit_chunk_size = None
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        check(other, states(4))
    sizes = [1, 2, 64, 7] * 8
    expected = {size: model.greedy_actions(states(size)) for size in sizes}
    with ThreadPoolExecutor(4) as threads:
        for size, actions in zip(
            sizes, threads.map(lambda size: model.greedy_actions(states(size)), sizes), strict=True
        ):
            assert torch.equal(actions, expected[size])


# Older releases of torch warn of operations in place that they do not trace, and run them as they are.
@pytest.mark.filterwarnings("ignore:Dynamo does not know how to trace")
@pytest.mark.parametrize("method", ["equitune", "equizero", "lambda"])
@torch.no_grad()
def test_it_compiles_and_exports_for_any_batch(method):
    model, x = symmetrize(network(), SQUARE, method), states(5)
    expected = model(x).q_values
    compiled = torch.compile(model, backend="eager")
    given = {"states": x, "return_dict": False}
    sizes = {"states": {0: torch.export.Dim("batch", min=2)}, "return_dict": None}
    exported = torch.export.export(model, (), given, strict=False, dynamic_shapes=sizes).module()
    for rows in (slice(0, 5), slice(1, 4)):
        torch.testing.assert_close(compiled(x[rows]).q_values, expected[rows])
        torch.testing.assert_close(exported(states=x[rows], return_dict=False)[0], expected[rows])
    assert torch.equal(model.greedy_actions(x), expected.argmax(1))


@torch.no_grad()
def test_in_a_symmetric_state_means_are_symmetric_and_a_choice_is_the_base():
    base, origin = network(), torch.zeros(1, 2)
    for method in ("equitune", "lambda"):
        values = symmetrize(base, SQUARE, method)(origin).q_values[0]
        torch.testing.assert_close(values[:4], values[0].expand(4))
    for method in ("equizero", "canonical"):
        torch.testing.assert_close(symmetrize(base, SQUARE, method)(origin).q_values, base(origin).q_values)
    model = symmetrize(base, SQUARE)
    assert model.greedy_actions(origin).tolist() in ([0], [4])  # of the four steps, which tie, the first


@torch.no_grad()
def test_images_of_bytes_are_read_as_the_base_reads_them():
    group, settings = ENVIRONMENTS["gridworld"]
    base = network(**settings)
    images = torch.randint(0, 256, (4, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for method in METHODS:
        model = symmetrize(base, group, method)
        if method != "canonical":  # bytes and floats have different smallest members
            torch.testing.assert_close(model(images).q_values, model(images.float() / 255).q_values)
        if method != "identity":
            assert_equivariant(lambda x, model=model: model(x).q_values, images, model.action, model.values_action)


def test_chunks_hold_some_members_at_once():
    base, x, sizes = network(), states(6), []
    base.head.register_forward_hook(lambda _, given, out: sizes.append(len(given[0])))
    whole = symmetrize(base, SQUARE, "equizero")(x).q_values
    parts = symmetrize(base, SQUARE, "equizero", orbit_chunk_size=3)(x).q_values
    assert sizes == [48, 18, 18, 12]
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize("method", ["equitune", "equizero", "lambda"])
def test_gradients_of_a_choice_are_those_of_the_mean(method):
    base, x = network(), states(6)
    model = symmetrize(base, SQUARE, method)
    model(x).q_values[:, 0].sum().backward()
    received = base.head.weight.grad.clone()
    base.zero_grad()
    symmetrize(base, SQUARE, "equitune")(x).q_values[:, 0].sum().backward()
    assert torch.allclose(received, base.head.weight.grad, atol=1e-4) == (method != "lambda")
    assert (model.lambda_network.layers[0].weight.grad.abs().max() > 0) if method == "lambda" else True


def test_a_trainer_fits_targets(tmp_path):
    model = symmetrize(network(sure=1.0), SQUARE, "equizero")
    rows = [{"states": x, "labels": y} for x, y in zip(states(8), targets(8), strict=True)]
    batch = {"states": states(8), "labels": targets(8)}
    before = float(model(**batch).loss.detach())
    arguments = TrainingArguments(tmp_path, max_steps=20, report_to=[], use_cpu=True, learning_rate=1e-2)
    Trainer(model, arguments, train_dataset=rows).train()
    assert float(model.eval()(**batch).loss.detach()) < before


def test_policies_keep_their_logits():
    base = network(outputs="logits", activation="tanh")
    model = symmetrize(base, SQUARE, "equitune")
    actions = torch.tensor([0, 3, 4])
    out = model(states(3), labels=actions)
    torch.testing.assert_close(out.loss, torch.nn.functional.cross_entropy(out.q_values, actions))


def test_the_auto_class_loads_it_and_its_base(tmp_path):
    model = symmetrize(network(), SQUARE, "equizero")
    model.save_pretrained(tmp_path / "model")
    loaded = AutoModel.from_pretrained(tmp_path / "model")
    assert isinstance(loaded, EquiQNetwork)
    assert isinstance(loaded.group, EnvironmentGroup)
    assert torch.equal(loaded(states(3)).q_values, model(states(3)).q_values)
    model.save_base_pretrained(tmp_path / "base")
    again = symmetrize(str(tmp_path / "base"), SQUARE, "equizero")
    assert torch.equal(again(states(3)).q_values, model(states(3)).q_values)
    assert AutoModel.from_pretrained(tmp_path / "base").config.state_shape == [2]


def test_groups_of_images_name_the_elements_of_the_environment():
    group = EnvironmentGroup(ImageGroup.flips("horizontal"), [[1, 0]])
    model, x = symmetrize(network(state_shape=[1, 8, 10], num_actions=2), group), states(3, 1, 8, 10)
    assert isinstance(model.group, EnvironmentGroup)
    torch.testing.assert_close(model(x.flip(-1)).q_values, model(x).q_values.flip(1))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(3, 3), r"a tensor of the shape \(B, 2\); received \(3, 3\)"),
        (torch.zeros(2), r"received \(2,\)"),
        (torch.zeros(3, 2).long(), r"states= holds torch.int64: pass floating numbers, as with states.float\(\)"),
        (torch.zeros(3, 2, dtype=torch.uint8), "states= holds torch.uint8"),
        (torch.full((3, 2), torch.nan), "states= holds NaN"),
        (torch.full((3, 2), torch.inf), "states= holds NaN or infinity"),
        (torch.zeros(3, 2).double(), "torch.float64, but the network has torch.float32"),
        (torch.zeros(0, 2), r"There are no states: states has the shape \(0, 2\)"),
        ([[0.0, 0.0]], "received list"),
    ],
)
def test_other_states_are_refused(given, message):
    model = symmetrize(network(), SQUARE, "equizero")
    for call in (model, model.greedy_actions):
        with pytest.raises(ActionError, match=message):
            call(given)


def test_no_action_is_the_best_of_values_that_are_nan():
    model = symmetrize(network(sure=torch.nan), SQUARE)
    for either in (model, model.unwrap()):
        with pytest.raises(ActionError, match="The values are NaN, so no action is the best"):
            either.greedy_actions(states(3))


@torch.no_grad()
def test_rotations_by_eighths_are_exact_to_rounding_at_ties_too():
    """Their matrices round, so the bits of a member depend on the state that it was made from."""
    a = 0.5**0.5
    group = EnvironmentGroup([[[a, -a], [a, a]]], [[1, 2, 3, 4, 5, 6, 7, 0]])
    base, x = network(num_actions=8), states(100)
    for scale in (1.0, 0.0):
        base.head.weight.mul_(scale)
        for method in METHODS if scale else ("equitune", "equizero"):
            model = symmetrize(base, group, method)
            values, actions = model(x).q_values, model.greedy_actions(x)
            for g in range(group.order) if method != "identity" else ():
                moved, expected = model.action.apply(g, x), model.values_action.apply(g, values)
                torch.testing.assert_close(model(moved).q_values, expected, rtol=0, atol=1e-4)
                assert torch.equal(model.greedy_actions(moved), group.permutations[g][actions])


def test_a_call_without_states_is_refused():
    with pytest.raises(ConfigurationError, match="EquiQNetwork needs states"):
        symmetrize(network(), SQUARE)()
