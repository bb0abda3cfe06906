"""Orbits of images: which rows are read, in what order, and how their maps are pulled back."""

from __future__ import annotations

import pytest
import torch
from literal_vision import Literal
from small_vision import classifier, images, side
from torch import nn
from transformers.modeling_outputs import BaseModelOutput
from wrapped_vision import SQUARE, TURNS, ragged

from hf_equi import ImageGroup, PixelAction
from hf_equi.errors import ActionError
from hf_equi.models.vision.classification_cuts import find_classification_cut
from hf_equi.models.vision.cuts import BodyCut, Cut
from hf_equi.models.vision.levels import LEVELS, LINKS, Head
from hf_equi.models.vision.orbits import ImageOrbits, ImageReader, combine
from hf_equi.symmetrizers import Entropy, Equitune, Equizero, Identity, LambdaEquitune, create_loss
from hf_equi.testing import assert_equivariant

GROUPS = {"C4": TURNS, "D4": SQUARE}
PLAIN = Head(lambda features: features, lambda maps: maps, LINKS["softmax"])


class Pixels(Cut):
    """Takes the pixels themselves for features, and notes what it read."""

    def __init__(self):
        self.calls = []

    def features(self, base, pixel_values, **kwargs):
        self.calls.append((len(pixel_values), kwargs))
        return base(pixel_values.flatten(1))


def read(images, group=TURNS, method=None, level="features", cut=None, chunk=None, base=None, **extras):
    reader = ImageReader(PixelAction(group), method or Equitune(), LEVELS[level], cut or Pixels(), chunk, extras)
    return reader.read(base or nn.Identity(), images)


def small():
    """An image of four pixels, one that is the same everywhere, and one with a half turn."""
    return torch.tensor([[[1.0, 2], [3, 4]], [[5, 5], [5, 5]], [[7, 6], [6, 7]]])[:, None]


def test_rows_are_the_distinct_members():
    cut = Pixels()
    orbits = read(small(), cut=cut, mask=3)
    assert cut.calls == [(4 + 1 + 2, {"mask": 3})]
    assert orbits.orbit.counts.tolist() == [4, 1, 2]
    members = PixelAction(TURNS).orbit(small()).flatten(2)
    assert torch.equal(orbits.by_member(), members)
    assert orbits.maps is None
    assert orbits.frozen is None


@pytest.mark.parametrize("chunk", [None, 2])
def test_what_has_one_entry_an_image_gets_one_a_member(chunk):
    cut = Pixels()
    read(small(), cut=cut, chunk=chunk, which=torch.tensor([1, 2, 3]), scale=torch.tensor([5.0]), word="any")
    assert torch.cat([kwargs["which"] for _, kwargs in cut.calls]).tolist() == [1, 1, 1, 1, 2, 3, 3]
    assert {(kwargs["scale"].item(), kwargs["word"]) for _, kwargs in cut.calls} == {(5.0, "any")}


@pytest.mark.parametrize("chunk", [None, 1, 2])
def test_a_cpu_that_evaluates_reads_large_images_in_pieces(chunk):
    large = torch.randn(2, 1, 224, 192, generator=torch.Generator().manual_seed(0))  # three have 2^17 pixels at most
    flips, frozen = ImageGroup.flips("both"), nn.Identity().eval()
    cut = Pixels()
    with torch.no_grad():
        pieces = read(large, flips, cut=cut, chunk=chunk, base=frozen)
    assert [count for count, _ in cut.calls] == ([2, 2, 2, 2] if chunk == 1 else [3, 3, 2])
    for learning in (nn.Identity().train(), frozen):  # batch norms read all rows, and so does autograd
        whole = Pixels()
        with torch.set_grad_enabled(learning is frozen):
            members = read(large, flips, cut=whole, base=learning)
        assert [count for count, _ in whole.calls] == [8]
        assert torch.equal(members.features, pieces.features)


@torch.no_grad()
def test_only_weights_that_read_images_count():
    large, calls = torch.randn(2, 1, 224, 192, generator=torch.Generator().manual_seed(0)), []

    class Tower(nn.Module):
        def forward(self, images, return_dict):
            calls.append(len(images))
            return BaseModelOutput(images)

    base = nn.ModuleDict({"tower": Tower(), "texts": nn.Linear(1000, 400_000, device="meta")}).eval()
    cut = BodyCut("tower", lambda base, body, maps: maps.mean((-2, -1)))
    read(large, ImageGroup.flips("both"), cut=cut, base=base)
    assert calls == [3, 3, 2]


def test_the_order_of_rows_does_not_depend_on_what_came_in():
    for group in GROUPS.values():
        first = read(small(), group).features
        for g in range(group.order):
            moved = read(PixelAction(group).apply(g, small()), group)
            assert torch.equal(moved.features, first)


def test_chunks_of_rows():
    whole = read(small()).features
    for size, calls in ((1, [3, 3, 1]), (2, [6, 1]), (3, [7]), (9, [7])):
        cut = Pixels()
        assert torch.equal(read(small(), cut=cut, chunk=size).features, whole)
        assert [count for count, _ in cut.calls] == calls


def test_one_member_alone_is_read_of_the_identity():
    cut = Pixels()
    orbits = read(small(), method=Identity(), cut=cut)
    assert cut.calls == [(3, {})]
    assert torch.equal(orbits.by_member(), small().flatten(1)[:, None])


def test_a_frozen_copy_reads_the_same_rows():
    cut, frozen = Pixels(), nn.Linear(4, 2)
    reader = ImageReader(PixelAction(TURNS), LambdaEquitune(), LEVELS["features"], cut)
    orbits = reader.read(nn.Identity(), small(), frozen)
    assert [count for count, _ in cut.calls] == [7, 7]
    assert torch.equal(orbits.frozen, frozen(orbits.features))
    assert not orbits.frozen.requires_grad
    assert torch.equal(orbits.by_member(), orbits.frozen[orbits.orbit.row_of])


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("family", ["resnet", "vit", "swin", "deit"])
@torch.no_grad()
def test_maps_are_pulled_back_by_inverses(family, group):
    base = classifier(family)
    cut, x = find_classification_cut(base), images(1)
    orbits = read(x, GROUPS[group], level="spatial", cut=cut, base=base)
    formula = Literal(base, cut, GROUPS[group], lambda features: cut.head(base, features))
    members = formula.members(x[0])
    received = orbits.maps[orbits.orbit.row_of][0]
    required, astray = (torch.cat([member[level] for member in members]) for level in ("spatial", "astray"))
    torch.testing.assert_close(received, required, atol=1e-5, rtol=1e-5)
    assert (received.mean(0) - astray.mean(0)).abs().max() > 1e-2
    torch.testing.assert_close(orbits.by_member()[0], torch.cat([member["features"] for member in members]))


@pytest.mark.parametrize("family", ["resnet", "vit", "deit", "dinov2_with_registers"])
@torch.no_grad()
def test_means_of_maps_move_as_images_do(family):
    base = classifier(family)
    cut, x = find_classification_cut(base), images(2, (side(family),) * 2)

    def maps(pixels):
        orbits = read(pixels, SQUARE, level="spatial", cut=cut, base=base)
        assert orbits.orbit.rows == 16
        return orbits.maps[orbits.orbit.row_of].mean(1)

    assert_equivariant(maps, x, PixelAction(SQUARE), cut.map_action(SQUARE, base, x.shape[-2:]), tolerance=1e-5)


def test_of_features():
    features = torch.arange(24.0).view(2, 4, 3)
    orbits = ImageOrbits.of_features(TURNS, features, Equitune())
    assert torch.equal(orbits.by_member(), features)
    assert torch.equal(ImageOrbits.of_features(TURNS, features, Identity()).by_member(), features[:, :1])
    for wrong in (features[:, :2], features[0]):
        with pytest.raises(ActionError, match=r"the shape \(batch, 4, features\) for ImageGroup.rotations\(4\)"):
            ImageOrbits.of_features(TURNS, wrong, Equitune())


def test_combine_by_hand():
    features = torch.tensor([[[0.0, 2], [4, 0]], [[1, 1], [3, 7]]])
    orbits = ImageOrbits.of_features(ImageGroup.flips("horizontal"), features, Equitune())
    mean = combine(orbits, PLAIN, Equitune(), LEVELS["features"])
    assert mean.logits.tolist() == [[2, 1], [2, 4]]
    assert torch.equal(mean.features, mean.logits)
    assert (mean.log_weights, mean.decision.chosen_element) == (None, None)
    logits = combine(orbits, PLAIN, Equitune(), LEVELS["logits"])
    assert logits.logits.tolist() == [[2, 1], [2, 4]]
    assert logits.features is None
    share = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    network = {"lambda_network": lambda features: share.log().clamp(min=-1e30)}.get
    weighed = combine(orbits, PLAIN, LambdaEquitune().with_networks(network), LEVELS["features"])
    torch.testing.assert_close(weighed.logits, torch.tensor([[3.0, 0.5], [1.0, 1.0]]))
    torch.testing.assert_close(weighed.log_weights.softmax(1), share)
    sure = combine(orbits, PLAIN, Equizero(Entropy()), LEVELS["features"])
    assert sure.logits.tolist() == [[4, 0], [3, 7]]
    assert sure.decision.chosen_element.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("loss", "chosen", "margin"),
    [("max_probability", 0, 0.4526), ("published_least_confident", 1, 0.4526), ("entropy", 1, 0.1736)],
)
def test_where_each_class_is_there_or_not(loss, chosen, margin):
    """One member is sure of a class, the other is surer still of an absence."""
    features = torch.tensor([[[3.0, 0, 0, 0], [0, -6, 0, 0]]])
    orbits = ImageOrbits.of_features(ImageGroup.flips("horizontal"), features, Equitune())
    head = Head(PLAIN.logits, PLAIN.pool, LINKS["sigmoid"])
    out = combine(orbits, head, Equizero(create_loss(loss)), LEVELS["features"])
    assert out.decision.chosen_element.tolist() == [chosen]
    torch.testing.assert_close(out.logits, features[:, chosen])
    torch.testing.assert_close(out.decision.margin, torch.tensor([margin]), atol=1e-4, rtol=0)


def test_features_alone_need_no_head():
    def head(features):
        raise AssertionError

    orbits = ImageOrbits.of_features(TURNS, torch.randn(2, 4, 3), Equitune())
    silent = Head(head, lambda maps: maps, LINKS["softmax"])
    out = combine(orbits, silent, Equitune(), LEVELS["features"], features_only=True)
    assert out.logits is None
    assert out.features.shape == (2, 3)


def test_weights_of_shared_rows():
    """Three rows of seven weigh as much as the elements that share them."""
    orbits, network = read(ragged().double(), SQUARE), nn.Linear(3 * 32 * 32, 1, dtype=torch.float64)

    def weigh(features):
        return network(features / 20).squeeze(-1)

    out = combine(orbits, PLAIN, LambdaEquitune().with_networks({"lambda_network": weigh}.get), LEVELS["features"])
    members = PixelAction(SQUARE).orbit(ragged().double()).flatten(2)
    weights = weigh(members).softmax(1)
    assert orbits.orbit.counts.tolist() == [8, 1, 4]
    torch.testing.assert_close(out.logits, (weights.unsqueeze(-1) * members).sum(1))
