"""Hashes that tell whether a tokenizer or the weights of a model are the ones that something was made with."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch

from hf_equi.errors import ConfigurationError

__all__ = ["check_tokenizer", "fingerprint", "weights_fingerprint"]


def fingerprint(tokenizer: Any) -> str:
    """A hash of the vocabulary: tokens with their ids.

    Args:
        tokenizer: A tokenizer of `transformers`.

    Returns:
        32 hexadecimal digits.
    """
    vocabulary = json.dumps(sorted(tokenizer.get_vocab().items(), key=lambda item: (item[1], item[0])))
    return hashlib.blake2b(vocabulary.encode(), digest_size=16).hexdigest()


def check_tokenizer(tokenizer: Any, expected: str | None, source: str) -> None:
    """Refuse another tokenizer than the map was made with.

    Raises:
        ConfigurationError: If the fingerprints differ.
    """
    if expected is not None and fingerprint(tokenizer) != expected:
        raise ConfigurationError(
            f"The tokenizer of {source} is not the one that the stored token permutation was made with, so it would "
            "move the wrong words. Use the tokenizer that was saved with the model, or symmetrize the base again."
        )


def weights_fingerprint(model: torch.nn.Module, dtype: torch.dtype | None = None) -> str:
    """A hash of all weights and buffers with their names, types and shapes.

    Weights that are on no device, as those of an offloaded model, count by name, type and shape alone.

    Args:
        model: The model.
        dtype: Read floating weights as if they were loaded in this type; by default as they are.

    Returns:
        32 hexadecimal digits.

    Cost: reads the weights once, about a second a gigabyte.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        if isinstance(tensor, torch.Tensor):
            read = tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
            digest.update(f"{name} {read.dtype} {tuple(read.shape)}".encode())
            if read.device.type != "meta":
                digest.update(read.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
