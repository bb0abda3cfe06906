"""What to do about orbits that do not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hf_equi.errors import UnsupportedModelError

__all__ = ["advice_on_memory"]


@contextmanager
def advice_on_memory(
    what: str, elements: torch.Tensor, chunk: int | None, device: torch.device | str
) -> Iterator[None]:
    """Say how to make a forward smaller that does not fit into memory.

    Args:
        what: The batch in words.
        elements: `(B, K)` the members that are run.
        chunk: Members of each orbit that go through the base at once; `None` for all.
        device: Whose memory it is.

    Raises:
        UnsupportedModelError: In the place of the error of torch.

    Example:
        >>> with advice_on_memory("3 texts", torch.zeros(3, 2), None, "cpu"):
        ...     raise torch.OutOfMemoryError
        Traceback (most recent call last):
            ...
        hf_equi.errors.UnsupportedModelError: The orbits of 3 texts make up to 6 rows; ...
    """
    try:
        yield
    except RuntimeError as error:
        # CUDA raises its own class; on the CPU only the text of the message tells.
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise UnsupportedModelError(
            f"The orbits of {what} make up to {elements.numel()} rows; {chunk or elements.shape[1]} members of each "
            f"at once are too many for the memory of {device}. Set orbit_chunk_size (symmetrize(..., "
            "orbit_chunk_size=1) runs one member of each at a time, in as many calls), or pass a smaller batch."
        ) from error
