import pytest
import torch

from hf_equi.testing import TOLERANCES
from hf_equi.testing.tolerances import tolerance_of


def test_tolerances_grow_as_precision_falls():
    dtypes = [torch.int64, torch.float64, torch.float32, torch.float16, torch.bfloat16]
    assert [tolerance_of(dtype) for dtype in dtypes] == sorted([0.0, *TOLERANCES.values()])


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError, match="does not support item assignment"):
        TOLERANCES[torch.float32] = 1.0
