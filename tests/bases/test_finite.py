"""Weights that are not finite numbers are found, whatever their type and size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hf_equi.bases.finite import check_finite, check_finite_weights
from hf_equi.errors import ConfigurationError

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def weights(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Weights of several shapes. Some are transposed, repeated without memory of their own, or empty."""
    made = {"a": torch.randn(40, 30), "b": torch.randn(7, 5).t(), "c": torch.ones(1).expand(9), "d": torch.ones(0)}
    return {
        key: tensor.to(dtype) if key != "c" else torch.ones(1, dtype=dtype).expand(9) for key, tensor in made.items()
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("key", ["a", "b"])
def test_one_number_that_is_not_finite_is_named(dtype, number, key):
    made = weights(dtype)
    check_finite(made.items(), "some/folder")
    made[key][3, 4] = number
    with pytest.raises(ConfigurationError, match=rf"some/folder are damaged: {key} holds .* {str(dtype)[6:]}"):
        check_finite(made.items(), "some/folder")


@pytest.mark.parametrize("dtype", DTYPES)
def test_opposite_infinities_do_not_cancel(dtype):
    made = weights(dtype)
    made["a"][0, :2] = torch.tensor([float("inf"), float("-inf")], dtype=dtype)
    with pytest.raises(ConfigurationError, match="a holds numbers that are not finite"):
        check_finite(made.items(), "here")


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_numbers_of_a_type_are_finite(dtype):
    """Their sum is not, so they are looked at one by one."""
    large = torch.full((50, 3), torch.finfo(dtype).max, dtype=dtype)
    check_finite([("large", large), ("negative", -large)], "here")


def test_only_buffers_may_mask():
    model = nn.Linear(2, 2)
    model.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
    model.register_buffer("made", torch.full((2,), float("nan")), persistent=False)
    check_finite_weights(model, "here")
    model.mask[1] = float("inf")
    with pytest.raises(ConfigurationError, match="mask holds numbers that are not finite"):
        check_finite_weights(model, "here")


def test_what_is_not_a_plain_weight_on_a_device_is_skipped():
    class Own(torch.Tensor):
        pass

    absent = torch.full((3,), float("nan"), device="meta")
    own = torch.full((3,), float("nan")).as_subclass(Own)
    check_finite([("absent", absent), ("own", own), ("whole", torch.ones(3, dtype=torch.long))], "here")
