"""Models of point clouds: exact in every group and by every method, on generic, padded and degenerate clouds."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from small_point_clouds import CATEGORIES, classifier, clouds, n_body, padding, segmenter, systems
from transformers import AutoModel, Trainer, TrainingArguments

import hf_equi
from hf_equi.actions import PointAction
from hf_equi.canonicalization import (
    AboutAxis,
    Composed,
    FixedPose,
    GramSchmidt,
    OrbitScorer,
    PrincipalFrames,
    VectorNeurons,
    WeightedFrames,
)
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError
from hf_equi.groups import E3, O3, SE3, SO2, SO2Z, SO3, DemographicGroup, MatrixGroup
from hf_equi.registration import method_names

GROUPS = {"SO3": SO3(), "O3": O3(), "SO2Z": SO2Z(), "SE3": SE3(), "E3": E3(), "C5": MatrixGroup.cyclic(5, dimension=3)}
BASES = {
    "class": partial(classifier, "point_net", sure=2.0),
    "parts": partial(segmenter, sure=2.0),
    "bodies": n_body,
}
TASKS = {"class": "point_cloud_classification", "parts": "point_cloud_segmentation", "bodies": "n_body"}
EXACT = [
    (kind, method)
    for kind, task in TASKS.items()
    for method in method_names(task)
    if method not in ("identity", "mixture")
]
# Frames round by the moments over the smallest gap of eigenvalues; a finite group as the matrices are exact.
BOUND, BOUND_OF_FINITE = 1e-4, 1e-5


def theta_of(group):
    return [0, 1] if isinstance(group, MatrixGroup) else group.sample(2, torch.Generator().manual_seed(3))


def make(kind, group, method, **settings):
    if method == "canonical_lambda":
        settings = {"theta": theta_of(group), **settings}
    if isinstance(group, MatrixGroup) and method.startswith("canonical"):
        torch.manual_seed(0)
        scorer = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * (5 if kind == "bodies" else 12), 1))
        settings = {"canonicalizer": OrbitScorer(scorer, PointAction(group)), **settings}
    return hf_equi.symmetrize(BASES[kind](), group, method, **settings).eval()


def asked(kind):
    if kind == "bodies":
        return systems()
    return {"points": clouds(), **({"categories": torch.arange(3) % CATEGORIES} if kind == "parts" else {})}


def moved(model, given, g):
    actions = model.input_actions()
    return {name: actions[name].apply(g, value) if name in actions else value for name, value in given.items()}


@torch.no_grad()
def error(model, given, g):
    """How far outputs of moved inputs are from moved outputs."""
    out, other = model(**given), model(**moved(model, given, g))
    if "positions" not in out:
        there = given.get("mask", torch.ones(1)) > 0
        found = (out.logits - other.logits).abs()
        return float((found[there] if found.dim() == 3 and "mask" in given else found).max())
    there = given["mask"] > 0 if "mask" in given else slice(None)
    positions = (model.action.apply(g, out.positions) - other.positions)[there]
    velocities = (model.vector_action.apply(g, out.velocities) - other.velocities)[there]
    return float(torch.maximum(positions.abs().max(), velocities.abs().max()))


def element(group, seed=7):
    return 3 if isinstance(group, MatrixGroup) else group.sample(1, torch.Generator().manual_seed(seed))[0]


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize(("kind", "method"), EXACT)
def test_it_is_exact(kind, method, group):
    model, given = make(kind, group, method), asked(kind)
    bound = BOUND_OF_FINITE if isinstance(group, MatrixGroup) else BOUND
    assert error(model, given, element(group)) < bound
    base = error(make(kind, group, "identity"), given, element(group))
    assert base > 10 * bound, base
    if isinstance(group, MatrixGroup) and method.startswith("canonical"):
        with pytest.raises(ConfigurationError, match="mask=: a canonicalizer of a finite group scores whole clouds"):
            model(**given, mask=torch.ones(given[model.main_input_name].shape[:2]))
        return
    count = given[model.main_input_name].shape[1]
    padded = {**given, "mask": padding(3, count, 3)}
    if kind != "parts" or model.base.least_points <= 3:
        assert error(model, padded, element(group)) < bound


@pytest.mark.parametrize("group", [MatrixGroup.cube(), MatrixGroup.cube(mirrors=True)], ids=["24", "48"])
@pytest.mark.parametrize("method", ["equitune", "equizero"])
def test_all_rotations_of_the_cube(method, group):
    """In the order of the elements, and in chunks."""
    model, given = make("class", group, method), asked("class")
    for g in (1, 9, group.order - 1):
        assert error(model, given, g) < BOUND_OF_FINITE
    out = model(**given)
    members = torch.stack([model.base(given["points"] @ matrix.float().mT).logits for matrix in group.matrices])
    if method == "equitune":
        torch.testing.assert_close(out.logits, members.mean(0))
    else:
        best = members.softmax(-1).amax(-1).argmax(0)
        torch.testing.assert_close(out.logits, members[best, torch.arange(3)])
        assert torch.equal(out.chosen_element, best)
    model.config.orbit_chunk_size = 5
    torch.testing.assert_close(model(**given).logits, out.logits)


@pytest.mark.parametrize("kind", ["class", "parts"])
def test_a_mean_over_frames_is_the_mean_of_their_members(kind):
    model, given = make(kind, SO3(), "equitune"), asked(kind)
    frames, _ = PrincipalFrames(SO3()).poses(given["points"])
    others = {name: value for name, value in given.items() if name != "points"}
    members = [model.base(given["points"] @ frames[:, k], **others).logits for k in range(4)]  # h⁻¹x, by rows
    torch.testing.assert_close(model(**given).logits, torch.stack(members).mean(0), atol=1e-4, rtol=1e-4)
    probabilities = make(kind, SO3(), "equitune", average="probabilities")(**given).logits
    expected = torch.stack(members).softmax(-1).mean(0).log()
    torch.testing.assert_close(probabilities, expected, atol=1e-4, rtol=1e-4)


CANONICALIZERS = {
    "frames": (SO3(), PrincipalFrames(SO3())),
    "weighted": (O3(), WeightedFrames(O3())),
    "centred": (E3(), Composed(E3(), PrincipalFrames(O3()))),
    "upright": (SO2Z(), AboutAxis(WeightedFrames(SO2()))),
    "first vectors": (SO3(), GramSchmidt(SO3())),
    "rule": (SO3(), FixedPose(lambda x, mask=None: GramSchmidt(SO3()).poses(x, mask)[0][:, 0], SO3())),
}


@pytest.mark.parametrize("name", CANONICALIZERS)
@pytest.mark.parametrize("kind", BASES)
def test_every_canonicalizer_is_exact(kind, name):
    group, canonicalizer = CANONICALIZERS[name]
    model = make(kind, group, "canonical", canonicalizer=copy.deepcopy(canonicalizer))
    assert error(model, asked(kind), element(group)) < BOUND
    with pytest.raises(ConfigurationError, match="is not trained, so these settings have no effect"):
        make(kind, group, "canonical", canonicalizer=copy.deepcopy(canonicalizer), prior_weight=1.0)


def degenerate():
    """Clouds with a symmetry, on a plane or a line, or of one point."""
    generator = torch.Generator().manual_seed(5)
    flat, along = torch.randn(1, 12, 3, generator=generator), torch.randn(1, 12, 1, generator=generator)
    flat[..., 2] = 0
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)[None]
    octahedron = torch.cat([torch.eye(3), -torch.eye(3)])[None]
    return {
        "planar": flat,
        "collinear": along * torch.tensor([1.0, 2.0, -1.0]),
        "cube": corners,
        "octahedron": octahedron,
        "one point": torch.tensor([[[0.3, -0.2, 0.9]]]),
        "at the origin": torch.zeros(1, 1, 3),
    }


@pytest.mark.parametrize("name", degenerate())
@pytest.mark.parametrize("group", [SO3(), O3(), SO2Z(), E3()], ids=repr)
@pytest.mark.parametrize("method", ["equitune", "canonical"])
def test_degenerate_clouds_have_one_answer(method, group, name):
    """Whichever way they are turned: also where the pose is free, because the cloud looks the same in all of them."""
    model, cloud = make("class", group, method), degenerate()[name]
    assert model(cloud).logits.isfinite().all()
    assert error(model, {"points": cloud}, element(group)) < 1e-3
    bodies = make("bodies", group, method)
    still = {"positions": cloud, "velocities": torch.zeros_like(cloud), "charges": torch.ones(cloud.shape[:2])}
    assert bodies(**still).positions.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_it_computes_in_other_precisions(dtype):
    for kind, create in BASES.items():
        given = asked(kind)
        for method in ("equitune", "canonical"):
            base = create().to(dtype)
            model = hf_equi.symmetrize(base, E3(), method).eval()
            cast = {name: value.to(dtype) if value.is_floating_point() else value for name, value in given.items()}
            for one in (cast, given):  # and points of float32, whatever the base computes in
                out = model(**one)
                assert out[next(name for name in ("logits", "positions") if name in out)].isfinite().all()
            expected = torch.float64 if dtype == torch.float64 else torch.float32
            assert all(weight.dtype == expected for name, weight in model.named_parameters() if "select" in name)


def test_a_mixture_is_invariant_in_law():
    model, given = make("class", SO3(), "mixture"), asked("class")
    torch.manual_seed(0)
    first = model(**given).logits
    assert not torch.equal(model(**given).logits, first)
    torch.manual_seed(0)
    assert torch.equal(model(**given).logits, first)
    cloud = given["points"][:1]
    with torch.no_grad():
        turns = torch.stack([cloud[0] @ g.float().mT for g in SO3().sample(20)])
        drifts = (model.base(turns).logits.softmax(-1) - model.base(cloud).logits.softmax(-1)).abs().amax(1)
        many = torch.stack([cloud[0], turns[drifts.argmax()]]).repeat_interleave(3000, 0)
        one, other = model(many).logits.softmax(-1).view(2, 3000, -1).mean(1)
    assert (one - other).abs().max() < drifts.max() / 5


@pytest.mark.parametrize("method", ["canonical", "canonical_lambda", "mixture", "equitune"])
@pytest.mark.parametrize("kind", BASES)
def test_a_checkpoint_holds_the_model_and_its_processor(kind, method, tmp_path):
    model, given = make(kind, SE3(), method), asked(kind)
    model.processor = hf_equi.PointCloudProcessor(num_points=7)
    model.save_pretrained(tmp_path)
    loaded, information = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(information.values())
    assert type(loaded) is type(model)
    assert loaded.processor.num_points == 7
    assert loaded.config.id2label == model.config.id2label
    torch.manual_seed(0)
    out = model(**given)
    torch.manual_seed(0)
    torch.testing.assert_close(dict(loaded(**given)), dict(out))
    again = hf_equi.symmetrize(loaded.unwrap(), SE3(), processor=loaded.processor)
    assert again.processor is loaded.processor


def test_a_canonicalizer_trains_in_a_trainer(tmp_path):
    points, labels = clouds(8), torch.arange(8) % 5
    data = [{"points": cloud, "labels": label} for cloud, label in zip(points, labels, strict=True)]
    model = make("class", SO3(), "canonical", prior_weight=1.0)
    before = {name: value.clone() for name, value in model.named_parameters()}
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=3,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        use_cpu=True,
        report_to="none",
        save_steps=3,
        disable_tqdm=True,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=data, eval_dataset=data)
    trainer.train()
    changed = {name.split(".")[0] for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {"base", "select_network"}
    result = trainer.predict(data)
    assert result.predictions.shape == (8, 5)
    assert error(model.eval(), {"points": points}, element(SO3())) < BOUND
    assert AutoModel.from_pretrained(tmp_path / "checkpoint-3").config.prior_weight == 1.0


def test_unfit_bases_groups_and_methods_are_refused():
    with pytest.raises(ConfigurationError, match="A group that acts on a model that classifies point clouds must be"):
        hf_equi.symmetrize(classifier(), DemographicGroup([["he", "she"]]))
    with pytest.raises(ConfigurationError, match=r"have the side 2, but points in space have 3 coordinates"):
        hf_equi.symmetrize(classifier(), MatrixGroup.cyclic(4))
    with pytest.raises(ConfigurationError, match="needs a canonicalizer for a finite group: pass"):
        hf_equi.symmetrize(classifier(), MatrixGroup.cube(), "canonical")
    with pytest.raises(ConfigurationError, match="method='equizero' is not known to the motion of bodies"):
        hf_equi.symmetrize(n_body(), SO3(), "equizero")
    with pytest.raises(UnsupportedModelError, match="NBodyNetwork is not a PointCloudClassifier"):
        hf_equi.EquiForPointCloudClassification.check_base(n_body())
    with pytest.raises(ConfigurationError, match="EquiForPointCloudClassification needs points"):
        make("class", SO3(), "equitune")()
    with pytest.raises(ConfigurationError, match="This model has no processor"):
        make("class", SO3(), "equitune").predict([clouds()[0]])
    with pytest.raises(
        ConfigurationError, match=r"canonicalizer= is a Linear, which does not say how its output moves"
    ):
        hf_equi.symmetrize(classifier(), SO3(), "canonical", canonicalizer=torch.nn.Linear(3, 3))


def test_bad_clouds_are_refused_before_any_forward():
    model, points = make("class", SO3(), "equitune"), clouds()
    model.base.forward = None  # nothing may call it
    lost = points.clone()
    lost[2, 0, 0] = torch.inf
    for given, kind, message in (
        ({"points": lost}, ActionError, "Sample 2 of points= holds NaN or infinity"),
        ({"points": torch.ones(2, 4, 3)}, ActionError, "several points that are all equal"),
        ({"points": points[0]}, ActionError, r"needs the shape \(batch, points, 3\)"),
        ({"points": points, "labels": torch.zeros(2).long()}, ConfigurationError, r"labels= are whole numbers"),
    ):
        with pytest.raises(kind, match=message):
            model(**given)
    edges = hf_equi.symmetrize(classifier(neighbours=10), SO3())
    with pytest.raises(ActionError, match="Sample 0 of points= has 9 points, but 10 or more are needed"):
        edges(points[:, :9])


def test_a_network_of_ones_own_is_wrapped():
    class Own(type(classifier("point_net"))):
        """A subclass of the user, which this library does not know."""

    assert type(hf_equi.symmetrize(Own(classifier("point_net").config).eval(), SO3())).__name__.endswith(
        "Classification"
    )


def test_base_forwards_are_counted():
    assert make("class", SO3(), "equitune").base_forwards == 4
    assert make("class", E3(), "equitune").base_forwards == 8
    assert make("class", MatrixGroup.cube(), "lambda").base_forwards == 24
    assert make("class", SO3(), "canonical_lambda").base_forwards == 2
    assert make("class", SO3(), "mixture").base_forwards == 1
    assert hf_equi.symmetrize(classifier(), SO3(), "canonical", canonicalizer=VectorNeurons(SO3())).base_forwards == 1
