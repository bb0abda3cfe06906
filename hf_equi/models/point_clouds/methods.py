"""The methods for point clouds, by name."""

from __future__ import annotations

from hf_equi.canonicalization import DrawnPose, FrameMembers
from hf_equi.symmetrizers import (
    EqualWeights,
    Equitune,
    Equizero,
    LambdaEquitune,
    Mean,
    Method,
    MethodText,
    create_loss,
)

__all__ = ["LOSSES", "PoseMixture", "equitune", "equizero", "lambda_equitune"]

LOSSES = ("max_probability", "entropy")


def equitune(average: str = "logits") -> Method:
    """Return the mean over an orbit, or over a frame of a continuous one."""
    return _over_frames(Equitune(average))


def equizero(average: str = "logits", loss: str = "max_probability") -> Method:
    """Return the choice of one member of an orbit, or of a frame, by a loss of that name.

    Raises:
        ConfigurationError: For an unknown loss.
    """
    return _over_frames(Equizero(create_loss(loss, known=LOSSES), average))


def lambda_equitune(average: str = "logits") -> Method:
    """Return the weighted mean over an orbit, or over a frame."""
    return _over_frames(LambdaEquitune(average))


def _over_frames(method: Method) -> Method:
    method.select = FrameMembers()
    return method


class PoseMixture(Method):
    r"""Read the cloud in a pose drawn at random, and move the output back.

    $$ M_G(x) = g^{-1} M(gx), \qquad g \text{ uniform} $$

    The law of the output is that for any other member of the orbit. A group that translates has no uniform
    translations; the cloud is centred in their place. Draws come from torch's generator: `torch.manual_seed`.

    Cost: 1 base forward. Guarantee: in law.

    Example:
        >>> PoseMixture().selects_one
        True
    """

    name = "mixture"
    text = MethodText(
        r"M_G(x) = g^{-1} M(gx), \qquad g \text{ uniform}",
        "The base reads each cloud in a pose that is drawn at random, and its output is moved back.",
        exact=False,
        claim="Move a cloud by an element of the group, and the law of the output moves in the same way. Each call "
        "draws anew, so two calls may differ.",
        limits=("**In law.** Outputs are random draws. The same seed gives the same elements, not the same poses.",),
    )

    def __init__(self) -> None:
        super().__init__(DrawnPose(), EqualWeights(), Mean())
