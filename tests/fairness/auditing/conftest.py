"""A classifier of regard that costs nothing, and one thread, so that sums are always taken in one order."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from small_models import GENDER

from hf_equi import DemographicGroup
from hf_equi.generation.subject_mask import SubjectMask

MALE = {word for row in GENDER.forms() for word in row.words[:1]}


class FakeRegard:
    """Probabilities from a checksum of the text, which favour texts with a male word; `calls` counts."""

    name = "fake"

    def __init__(self, mask: SubjectMask | None = None, fails_after: float = float("inf")) -> None:
        self.mask, self.fails_after, self.calls = mask, fails_after, 0

    def probabilities(self, texts: Sequence[str]) -> torch.Tensor:
        self.calls += 1
        if self.calls > self.fails_after:
            raise KeyboardInterrupt
        return torch.tensor([self._one(text if self.mask is None else self.mask(text)) for text in texts]).softmax(-1)

    def _one(self, text: str) -> list[float]:
        sums = [zlib.crc32(f"{label}{text}".encode()) % 1000 / 500 for label in range(3)]
        return [sums[0], sums[1], sums[2] + bool(MALE & set(text.split()))]

    def masked(self, group: DemographicGroup) -> FakeRegard:
        return FakeRegard(SubjectMask(group))


@pytest.fixture
def regard() -> Callable[..., FakeRegard]:
    return FakeRegard


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
