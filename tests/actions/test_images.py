"""Exact groups on images and on grids of tokens; `test_resampling` has the angles between quarter turns."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_equi.actions import GridAction, PixelAction
from hf_equi.errors import ActionError
from hf_equi.groups import ImageGroup
from hf_equi.testing import assert_action

D4 = PixelAction(ImageGroup.dihedral(4))
SQUARE = [*map(ImageGroup.rotations, (1, 2, 4)), *map(ImageGroup.dihedral, (1, 2, 4))]
UPRIGHT = [ImageGroup.trivial(), ImageGroup.rotations(2), ImageGroup.dihedral(2)]
UPRIGHT += map(ImageGroup.flips, ("horizontal", "vertical", "both"))
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int64, torch.bool]


def images(*shape, dtype=torch.float32, seed=0):
    numbers = torch.randint(256, shape, generator=torch.Generator().manual_seed(seed))
    return (numbers - 128 if dtype.is_floating_point else numbers).to(dtype)


def literal(group, g, x):
    """Pixel by pixel: where the element moves the point (column to the right, row downwards, from the middle)."""
    height, width = x.shape[-2:]
    result = torch.full_like(x, 77)
    for row, column in itertools.product(range(height), range(width)):
        across, up = 2 * column - (width - 1), (height - 1) - 2 * row
        if group.mirrored[g]:
            across = -across
        for _ in range(int(group.angles[g]) // 90):
            across, up = -up, across
        result[..., ((height - 1) - up) // 2, (across + width - 1) // 2] = x[..., row, column]
    return result


@pytest.mark.parametrize("group", [*SQUARE, *UPRIGHT], ids=repr)
@pytest.mark.parametrize("side", [1, 4, 5])
def test_elements_move_pixels_as_they_move_points(group, side):
    width = side if group.needs_square else side + 2
    x = images(2, side, width)
    for g in range(group.order):
        received = PixelAction(group).apply(g, x)
        assert torch.equal(received, literal(group, g, x))
        assert received.is_contiguous()


@pytest.mark.parametrize("group", [*SQUARE, *UPRIGHT, ImageGroup.dihedral(8)], ids=repr)
def test_a_graph_that_is_traced_moves_pixels_alike(group, monkeypatch):
    if not group.exact:
        pytest.importorskip("kornia")
    elements = torch.arange(group.order).flip(0)
    x = images(group.order, 2, 5, 5 if group.needs_square else 7)
    required = PixelAction(group).apply(elements, x)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    received = PixelAction(group).apply(elements, x)
    assert torch.equal(received, required)
    assert received.is_contiguous()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("group", [ImageGroup.dihedral(4), ImageGroup.flips("both")], ids=repr)
def test_it_is_an_exact_action(group, dtype):
    action = PixelAction(group)
    x = images(2, 3, 4, 4 if group.needs_square else 7, dtype=dtype)
    assert_action(action, [x])
    # `assert_action` lets floating numbers differ a little.
    for g, h in itertools.product(range(group.order), repeat=2):
        both = int(group.product[g, h])
        assert torch.equal(action.apply(g, action.apply(h, x)), action.apply(both, x))
        assert torch.equal(action.invert(g, action.apply(g, x)), x)


def test_the_order_of_a_mirror_and_a_turn_matters():
    x = images(1, 3, 3)
    turn, mirror = 1, 4
    assert not torch.equal(D4.apply(turn, D4.apply(mirror, x)), D4.apply(mirror, D4.apply(turn, x)))
    assert torch.equal(D4.apply(5, x), D4.apply(turn, D4.apply(mirror, x)))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([*SQUARE, *UPRIGHT]),
    st.integers(0, 7),
    st.integers(1, 5),
    st.sampled_from(DTYPES),
    st.integers(0, 1000),
)
def test_each_sample_moves_by_its_own_element(group, rows, side, dtype, seed):
    action = PixelAction(group)
    x = images(rows, 2, side, side, dtype=dtype, seed=seed)
    elements = torch.randint(group.order, (rows,), generator=torch.Generator().manual_seed(seed))
    received = action.apply(elements, x)
    for g, image, moved in zip(elements.tolist(), x, received, strict=True):
        assert torch.equal(moved, action.apply(g, image))
    assert received.is_contiguous()
    assert received.dtype == dtype
    assert received.shape == x.shape
    assert torch.equal(action.invert(elements, received), x)


@pytest.mark.parametrize("change", ["transposed", "channels_last", "sliced", "expanded"])
def test_inputs_need_not_be_contiguous(change):
    x = {
        "transposed": images(3, 2, 4, 4).transpose(-1, -2),
        "channels_last": images(3, 2, 4, 4).to(memory_format=torch.channels_last),
        "sliced": images(6, 2, 8, 4)[::2, :, ::2],
        "expanded": images(3, 1, 4, 4).expand(-1, 2, -1, -1),
    }[change]
    assert not x.is_contiguous()
    elements = torch.tensor([5, 0, 3])
    for received, plain in (
        (D4.apply(5, x), D4.apply(5, x.contiguous())),
        (D4.apply(0, x), x.contiguous()),
        (D4.apply(elements, x), D4.apply(elements, x.contiguous())),
        (D4.apply(elements * 0, x), x.contiguous()),
        (D4.orbit(x), D4.orbit(x.contiguous())),
        (D4.keys(x), D4.keys(x.contiguous())),
    ):
        assert torch.equal(received, plain)
        assert received.is_contiguous()


def test_orbits_hold_all_members_in_the_order_of_the_elements():
    x = images(3, 2, 4, 4)
    members = D4.orbit(x)
    assert members.shape == (3, 8, 2, 4, 4)
    for g in range(8):
        assert torch.equal(members[:, g], literal(D4.group, g, x))


@pytest.mark.parametrize("elements", [[0, 5, 5, 3], [6, 6, 6, 6]])
def test_gradients_are_moved_back(elements):
    x = images(4, 2, 3, 3).double().requires_grad_()
    weight = images(4, 2, 3, 3, seed=1).double()
    rows = torch.tensor(elements)
    (D4.apply(rows, x) * weight).sum().backward()
    assert torch.equal(x.grad, D4.invert(rows, weight))
    x.grad = None
    (D4.orbit(x) * weight[:, None]).sum().backward()
    assert torch.equal(x.grad, sum(D4.invert(g, weight) for g in range(8)))


# Keys ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([*SQUARE, *UPRIGHT]), st.integers(1, 5), st.integers(1, 5), st.sampled_from(DTYPES), st.data())
def test_keys_of_a_moved_image_are_those_of_the_image_in_another_order(group, height, width, dtype, data):
    width = height if group.needs_square else width
    action = PixelAction(group)
    x = images(3, 2, height, width, dtype=dtype, seed=data.draw(st.integers(0, 99)))
    keys = action.keys(x)
    assert (keys.shape, keys.dtype) == ((3, group.order), torch.long)
    for h in range(group.order):
        assert torch.equal(action.keys(action.apply(h, x)), keys[:, group.product[:, h]])
    # Equal keys where members are equal, and only there.
    members = action.orbit(x).flatten(2).flatten(0, 1)
    same = (members[:, None] == members[None, :]).all(-1)
    assert torch.equal(keys.flatten()[:, None] == keys.flatten()[None, :], same)


def test_keys_do_not_depend_on_what_is_kept(monkeypatch):
    action, x = PixelAction(ImageGroup.dihedral(4)), torch.rand(2, 3, 9, 9)
    keys = action.keys(x)
    assert torch.equal(action.keys(x), keys)
    monkeypatch.setattr("hf_equi.actions.images._MOST_KEPT", 0)
    assert torch.equal(action.keys(x), keys)
    assert torch.equal(action.keys(torch.nn.Parameter(x)), keys)


def test_keys_do_not_depend_on_the_batch():
    # Large enough that samples are taken in more than one part.
    x = images(5, 3, 200, 200)
    keys = D4.keys(x)
    assert torch.equal(keys, torch.cat([D4.keys(image[None]) for image in x]))
    assert torch.equal(keys[[3, 1]], D4.keys(x[[3, 1]]))
    assert D4.keys(x[:0]).shape == (0, 8)


def test_keys_tell_apart_what_sums_confuse():
    plain = torch.zeros(1, 1, 6, 6)
    ones = torch.eye(36).view(36, 1, 6, 6)
    candidates = [plain, plain + 1, ones, -ones, 2 * ones, 2.0**-140 * ones, plain - ones, 0.5 + ones, 1 - ones]
    candidates += [ones + ones.roll(shift, 0) for shift in range(1, 18)]
    together = torch.cat([item.expand(36, 1, 6, 6) if len(item) > 1 else item for item in candidates])
    distinct = together.unique(dim=0)
    keys = PixelAction(ImageGroup.trivial()).keys(distinct).flatten()
    assert len(keys.unique()) == len(distinct) > 700


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_both_zeros_have_one_key(dtype):
    x = images(1, 1, 4, 4, dtype=dtype) * (torch.eye(4) == 0).to(dtype)
    negative = torch.where(x == 0, -torch.zeros_like(x), x)
    assert torch.signbit(negative[x == 0]).all()
    assert torch.equal(D4.keys(x), D4.keys(negative))


def test_keys_see_differences_below_single_precision():
    x = torch.ones(2, 1, 2, 2, dtype=torch.float64)
    x[1, 0, 0, 0] += 1e-12
    keys = D4.keys(x)
    assert (keys[0] != keys[1]).all()


def test_keys_are_the_same_in_every_process():
    """Literal numbers, for what is stored by key, or compared between machines."""
    keys = PixelAction(ImageGroup.rotations(2)).keys(torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2))
    assert keys.tolist() == [[7324122470350419546, -8496160981002126778]]


# What is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["apply", "invert", "orbit", "keys"])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 4, 5), r"ImageGroup\.dihedral\(4\) turns.*H = 4, W = 5\. Crop or pad.*flips.*rotations\(2\)"),
        ((4, 4), r"three axes|four axes"),
    ],
)
def test_images_that_do_not_fit_are_refused(method, shape, message):
    x = torch.zeros(shape)
    for elements in (0, torch.zeros(len(x)).long()) if method in ("apply", "invert") else (None,):
        with pytest.raises(ActionError, match=message):
            getattr(D4, method)(*(() if elements is None else (elements,)), x)


def test_samples_need_four_axes():
    for call in (D4.orbit, D4.keys, lambda x: D4.apply(torch.tensor([0]), x)):
        for shape in ((3, 4, 4), (1, 1, 3, 4, 4)):
            with pytest.raises(ActionError, match=r"four axes, \(R, C, H, W\)"):
                call(torch.zeros(shape))


@pytest.mark.parametrize("g", [8, -1, 1.0, "90°"])
def test_unknown_elements_are_refused(g):
    for act in (D4.apply, D4.invert, GridAction(D4.group).apply, GridAction(D4.group).invert):
        with pytest.raises(ActionError, match="No element"):
            act(g, torch.zeros(1, 4, 4))


@pytest.mark.parametrize("elements", [[0, 8], [-1, 0], [0], [0.0, 1.0]])
def test_unknown_elements_of_samples_are_refused(elements):
    rows = torch.tensor(elements)
    grid = GridAction(D4.group)
    for act in (D4.apply, D4.invert):
        with pytest.raises(ActionError, match=r"No element|One element per sample"):
            act(rows, torch.zeros(2, 1, 4, 4))
    for act in (grid.apply, grid.invert):
        with pytest.raises(ActionError, match=r"No element|One element per sample"):
            act(rows, torch.zeros(2, 4, 4))


def test_unknown_paddings_are_refused():
    with pytest.raises(ActionError, match="padding='zeros' is not known: use one of 'circular', 'reflect'"):
        PixelAction(D4.group, padding="zeros")


# Grids --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("special", [0, 2])
@pytest.mark.parametrize("group", [*SQUARE, *UPRIGHT], ids=repr)
def test_patches_move_as_pixels_do(group, special):
    size = (3, 3) if group.needs_square else (2, 5)
    action = GridAction(group, special=special, size=size)
    tokens = images(4, special + size[0] * size[1], 6)
    maps = tokens[:, special:].transpose(1, 2).unflatten(-1, size)  # (R, D, h, w)
    for g in range(group.order):
        moved = literal(group, g, maps).flatten(2).transpose(1, 2)
        assert torch.equal(action.apply(g, tokens), torch.cat([tokens[:, :special], moved], dim=1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_grids_have_exact_actions(dtype):
    action = GridAction(D4.group, special=1)
    tokens = images(3, 10, 2, dtype=dtype)
    assert_action(action, [tokens])
    for g in range(8):
        assert torch.equal(action.apply(g, tokens[0]), action.apply(g, tokens)[0])
        assert torch.equal(action.apply(g, tokens[:, None]), action.apply(g, tokens)[:, None])
    elements = torch.tensor([0, 5, 3])
    received = action.apply(elements, tokens)
    for g, sample, moved in zip(elements.tolist(), tokens, received, strict=True):
        assert torch.equal(moved, action.apply(g, sample))
        assert torch.equal(action.invert(g, moved), sample)
    assert received.is_contiguous()
    assert torch.equal(action.invert(elements, received), tokens)
    assert action.apply(elements[:0], tokens[:0]).shape == (0, 10, 2)


def test_sources_are_a_left_action():
    sources = GridAction(D4.group, special=1).sources(9)
    assert sources.shape == (8, 9)
    for g, h in itertools.product(range(8), repeat=2):
        # (g(hx))_i = (hx)_{s_g(i)} = x_{s_h(s_g(i))}
        assert torch.equal(sources[D4.group.product[g, h]], sources[h][sources[g]])


def test_gradients_flow_through_grids_after_inference_mode():
    action = GridAction(ImageGroup.rotations(4), special=1)
    tokens = images(3, 17, 2).transpose(0, 1).contiguous().transpose(0, 1)
    with torch.inference_mode():
        action.apply(1, tokens)
    tokens = tokens.requires_grad_()
    weight = images(3, 17, 2, seed=1)
    elements = torch.tensor([1, 3, 0])
    (action.apply(elements, tokens) * weight).sum().backward()
    assert torch.equal(tokens.grad, action.invert(elements, weight))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GridAction(ImageGroup.rotations(8)), r"rotations\(8\) has angles other than quarter turns"),
        (lambda: GridAction(D4.group, size=(2, 3)), "breaks the symmetry: .* 2 rows of 3 patches are not a square"),
        (lambda: GridAction(D4.group, special=-1), "received -1"),
        (lambda: GridAction(D4.group).apply(0, torch.zeros(1, 8, 2)), "the symmetry: 8 patches .* are not a square"),
        (lambda: GridAction(D4.group, special=1).apply(0, torch.zeros(9, 2)), "8 patches behind 1 special"),
        (lambda: GridAction(ImageGroup.flips(), size=(2, 3)).sources(5), "5 patches .* are not 2 rows of 3"),
        (lambda: GridAction(D4.group, special=3).apply(0, torch.zeros(3, 2)), r"at least one patch behind 3"),
        (lambda: GridAction(D4.group).apply(0, torch.zeros(4)), "two axes or more"),
        (lambda: GridAction(D4.group).apply(torch.tensor([0]), torch.zeros(4, 2)), "three axes"),
    ],
)
def test_grids_that_break_the_symmetry_are_refused(make, message):
    with pytest.raises(ActionError, match=message):
        make()


def test_actions_show_what_they_are():
    assert repr(D4) == "PixelAction(ImageGroup.dihedral(4), padding='reflect')"
    assert repr(GridAction(D4.group, 1)) == "GridAction(ImageGroup.dihedral(4), special=1, size=None)"
