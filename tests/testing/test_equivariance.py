import pytest
import torch

from hf_equi.actions import Action, ColumnAction, PointAction, VectorAction
from hf_equi.errors import EquivarianceError
from hf_equi.groups import O3, SE3, SO3, FiniteGroup
from hf_equi.testing import TOLERANCES, assert_equivariant, equivariance_error
from hf_equi.testing.actions import elements_of


class Rolled(Action):
    def __init__(self, n):
        self.group = FiniteGroup.cyclic(n)

    def apply(self, g, x):
        return x.roll(g, dims=-1)

    def invert(self, g, x):
        return x.roll(-g, dims=-1)


ROLLED = Rolled(4)
X = torch.tensor([[1.0, 2.0, 4.0, 8.0]])


def test_equivariant_functions_have_no_error():
    errors = equivariance_error(lambda x: 2 * x, X, ROLLED, ROLLED)
    assert errors.tolist() == [0, 0, 0, 0]
    assert errors.dtype == torch.float64
    assert_equivariant(lambda x: 2 * x, X, ROLLED, ROLLED)
    assert_equivariant(lambda x: x.sum(), X, ROLLED)
    columns = ColumnAction(ROLLED.group, ROLLED.group.permutations)
    assert_equivariant(lambda x: 2 * x, X, ROLLED, columns)
    assert_equivariant(lambda x: x.argmax(-1), X, ROLLED, columns)  # labels


def test_errors_are_the_largest_differences():
    weights = torch.arange(4.0)
    # The function is f(x) = x * w, so the error of g is the largest of x_v |w_{v+g} - w_v|.
    required = [max(float(X[0, v]) * abs((v + g) % 4 - v) for v in range(4)) for g in range(4)]
    assert equivariance_error(lambda x: x * weights, X, ROLLED, ROLLED).tolist() == required
    assert equivariance_error(lambda x: x * weights, X, ROLLED, ROLLED, elements=[3, 1]).tolist() == [
        required[3],
        required[1],
    ]


def test_functions_of_points_are_tried_on_random_elements():
    points = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    assert_equivariant(lambda x: torch.cdist(x, x), points, PointAction(SE3()))
    assert_equivariant(lambda x: x.mean(1), points, PointAction(SE3()), PointAction(SE3()))
    assert_equivariant(lambda x: x[:, 0] - x.mean(1), points, PointAction(SE3()), VectorAction(SE3()))
    cross = equivariance_error(
        lambda x: torch.linalg.cross(x[:, 0], x[:, 1]), points, VectorAction(O3()), VectorAction(O3())
    )
    assert (cross < 1e-5).tolist() == (torch.linalg.det(torch.stack(elements_of(O3()))) > 0).tolist()
    with pytest.raises(EquivarianceError, match=r"not equivariant: for element \[\[-?0\.\d"):
        assert_equivariant(lambda x: x.mean(1), points, PointAction(SE3()), VectorAction(SE3()))
    with pytest.raises(EquivarianceError, match=r"same group; received SO3\(\) for inputs, O3\(\) for outputs"):
        equivariance_error(lambda x: x, points, VectorAction(SO3()), VectorAction(O3()))


def test_the_worst_element_is_named():
    with pytest.raises(EquivarianceError, match=r"element 1 \(r\).* is 24, but at most 1e-05 .*torch.float32"):
        assert_equivariant(lambda x: x * torch.arange(4.0), X, ROLLED, ROLLED)
    assert_equivariant(lambda x: x * torch.arange(4.0), X, ROLLED, ROLLED, elements=[0])
    assert_equivariant(lambda x: x * torch.arange(4.0), X, ROLLED, ROLLED, tolerance=24)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_tolerance_follows_the_dtype(dtype):
    def biased(by):
        return lambda x: torch.zeros_like(x) + by * (x[..., :1] != 1).to(x.dtype)

    x = X.to(dtype)
    assert_equivariant(biased(TOLERANCES[dtype] / 2), x, ROLLED, ROLLED)
    with pytest.raises(EquivarianceError, match=str(dtype)):
        assert_equivariant(biased(TOLERANCES[dtype] * 2), x, ROLLED, ROLLED)


def test_integers_must_be_equal():
    with pytest.raises(EquivarianceError, match="at most 0 is allowed"):
        assert_equivariant(lambda x: x.argmax(), X, ROLLED)


def test_nan_fails_and_equal_infinities_pass():
    with pytest.raises(EquivarianceError, match="is nan"):
        assert_equivariant(lambda x: x * torch.nan, X, ROLLED, ROLLED)
    assert_equivariant(lambda x: x / 0, X, ROLLED, ROLLED)
    assert_equivariant(lambda x: x[:0], X, ROLLED, ROLLED)


@pytest.mark.parametrize(
    ("function", "output_action", "message"),
    [
        (lambda x: [x], ROLLED, "must return one tensor; received list"),
        (lambda x: x[:, : int(x[0, 0])], ROLLED, r"must have the same shape; received \(1, 4\) and \(1, 1\)"),
        (lambda x: x, Rolled(3), "Both actions must be of the same group"),
    ],
)
def test_misuse_raises(function, output_action, message):
    with pytest.raises(EquivarianceError, match=message):
        equivariance_error(function, X, ROLLED, output_action)
