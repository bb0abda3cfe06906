"""A hash that shows if a model still has the weights with which something was made."""

from __future__ import annotations

import hashlib

import torch

__all__ = ["weights_fingerprint"]


def weights_fingerprint(model: torch.nn.Module, dtype: torch.dtype | None = None) -> str:
    """Return a hash of all weights and buffers with their names, types and shapes.

    Weights that are not on a device, such as those of an offloaded model, count only by name, type and shape.

    Args:
        model: The model.
        dtype: Read floating weights as if they were loaded in this type; by default as they are.

    Returns:
        32 hexadecimal digits.

    Cost: reads the weights once, about one second per gigabyte.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        if isinstance(tensor, torch.Tensor):
            read = tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
            digest.update(f"{name} {read.dtype} {tuple(read.shape)}".encode())
            if read.device.type != "meta":
                digest.update(read.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
