"""Whether weights are finite numbers: one fast pass over all of them, and a second look where that finds something."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch.nn.utils import get_total_norm

from hf_equi.bases.reading import AGAIN
from hf_equi.errors import ConfigurationError

__all__ = ["check_finite", "check_finite_weights"]

_CHECKED = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def check_finite_weights(model: torch.nn.Module, name: object) -> None:
    """Refuse a model if weights that are on a device are not finite numbers.

    Args:
        model: The model. A buffer that it stores may mask places with -inf.
        name: The source of the weights, for the message.

    Raises:
        ConfigurationError: For the first weight or buffer with other numbers.
    """
    check_finite(model.named_parameters(), name)
    stored = model.state_dict().keys()
    check_finite(((key, buffer) for key, buffer in model.named_buffers() if key in stored), name, masks=True)


def check_finite(tensors: Iterable[tuple[str, torch.Tensor]], name: object, masks: bool = False) -> None:
    """Refuse weights that are not finite numbers.

    Args:
        tensors: The weights with their names. Those that are not on a device, or are not plain tensors, are skipped.
        name: The source of the weights, for the message.
        masks: Whether they may mask places with -inf, as some buffers do.

    Raises:
        ConfigurationError: For the first tensor with other numbers.

    Cost: one pass over the weights, which takes as long as reading them from memory.
    """
    plain = [(key, tensor.detach()) for key, tensor in tensors if _can_be_read(tensor)]
    if not masks and _look_finite([data for _, data in plain]):
        return
    for key, data in plain:
        least, most = torch.aminmax(data)
        if most.isfinite() and (least.isfinite() or (masks and least == -torch.inf)):
            continue
        raise ConfigurationError(
            f"The weights of {name} are damaged: {key} holds numbers that are not finite (NaN or infinity), as loaded "
            f"in {str(data.dtype).removeprefix('torch.')}. {AGAIN}"
        )


def _can_be_read(tensor: torch.Tensor) -> bool:
    known = tensor.dtype in _CHECKED and type(tensor.data) is torch.Tensor
    return known and not tensor.is_meta and bool(tensor.numel())


def _look_finite(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether all numbers are certainly finite. If not, they may still be: their sum may be too large for their type.

    NaN and infinity never leave a sum. So a finite sum shows that all numbers are finite, and takes less time than
    looking at each.
    """
    half = [tensor for tensor in tensors if tensor.dtype is torch.float16]  # for which torch has no fast norm
    others = [tensor for tensor in tensors if tensor.dtype is not torch.float16]
    sums = [tensor.sum() for tensor in half]
    if others:  # in one call: torch lets other threads run until it ends
        sums.append(get_total_norm(others))
    return all(bool(each.isfinite()) for each in sums)
