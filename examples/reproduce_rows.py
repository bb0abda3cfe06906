"""What `examples/reproduce.py` compares: a figure that a page states, and the one measured again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "docs" / "results"


@dataclass(frozen=True)
class Row:
    """A figure, stated and obtained.

    Args:
        result: What it is a figure of: "add_jump, LSTM: equizero, zero-shot, test".
        stated: The figure of the page, for the seed of these weights.
        obtained: The figure measured now.
        allowed: The largest difference that half precision and another machine explain.
        unit: Its unit, for the table.
    """

    result: str
    stated: float
    obtained: float
    allowed: float
    unit: str = "%"

    @property
    def met(self) -> bool:
        """Whether both agree. A figure that is not a number agrees with nothing."""
        return abs(self.obtained - self.stated) <= self.allowed
