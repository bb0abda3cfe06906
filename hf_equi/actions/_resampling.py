"""Images turned by angles between quarter turns: the only place that interpolates."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn import functional as F

from hf_equi.checks import check_choice, to_install
from hf_equi.errors import ActionError

__all__ = ["check_padding", "full_precision", "resample"]

_PADDINGS = ("circular", "reflect")


def check_padding(padding: str) -> None:
    """Refuse an unknown way to continue images beyond their edges."""
    check_choice("padding", padding, _PADDINGS, error=ActionError)


def resample(x: torch.Tensor, angle: float | torch.Tensor, padding: str) -> torch.Tensor:
    """Turn square images counter-clockwise.

    The images are continued as far as their corners turn, turned bilinearly, and cropped. Half precision is computed
    in float32, also under autocast: rounded to bfloat16, the points of a large image are off by a pixel.

    Args:
        x: `(..., C, S, S)`.
        angle: Degrees from 0 to 90; or `(R,)` degrees from -45 to 45, one for each of `(R, C, S, S)`, to which
            gradients flow.
        padding: How the images continue: `"reflect"` or `"circular"`.
    """
    rotate = _kornia_rotate()
    side = x.shape[-1]
    turn = math.radians(angle if isinstance(angle, float) else 45.0)  # as far as any corner goes
    beyond = math.ceil((side - 1) / 2 * (math.cos(turn) + math.sin(turn) - 1))
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    flat = wide.reshape(-1, *x.shape[-3:])  # (R, C, S, S)
    padded = F.pad(flat, (beyond,) * 4, mode=padding)
    angles = angle if isinstance(angle, torch.Tensor) else flat.new_full((flat.shape[0],), angle)
    with full_precision(x.device):
        # Only rounding reaches the border: the padding extends as far as the corners.
        turned = rotate(padded, angles.to(flat), mode="bilinear", padding_mode="border", align_corners=True)
    inner = slice(beyond, beyond + side)
    return turned[..., inner, inner].reshape(x.shape).to(x.dtype)


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context without autocast, on devices that have it."""
    available = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else nullcontext()


def _kornia_rotate() -> Callable[..., torch.Tensor]:
    try:
        from kornia.geometry.transform import rotate  # noqa: PLC0415 - optional, and needed for other angles alone
    except ImportError as error:
        raise ActionError(
            "Angles other than quarter turns are resampled by kornia, which cannot be imported here: "
            f"{error}. Use a group of quarter turns and mirrors, or install kornia: {to_install('kornia', 'vision')}."
        ) from error
    return rotate
