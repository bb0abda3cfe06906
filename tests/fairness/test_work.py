"""How much work there is, and how long it takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rich.progress import Progress

from hf_equi.fairness.work import Estimate, Work, columns, rows_of_a_text


@pytest.mark.parametrize(("selects_one", "rows"), [(True, 1), (False, 6)])
def test_a_text_takes_as_many_rows_as_there_are_members(selects_one, rows) -> None:
    lm = SimpleNamespace(method=SimpleNamespace(selects_one=selects_one), group=SimpleNamespace(order=6))
    assert rows_of_a_text(lm) == rows


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (
            10,
            [
                "1,000 texts in 2,000 rows of the base model: about 3 min in all, if the rest is as fast as the first "
                "100 rows were just now"
            ],
        ),
        (1, []),
    ],
)
def test_an_estimate_is_said_once_and_of_long_work_alone(seconds, said) -> None:
    lines: list[str] = []
    clock = iter([0.0, seconds])
    estimate = Estimate(Work(1000, 2000), lines.append, lambda: next(clock))
    estimate.measure(0)
    estimate.measure(100)
    estimate.measure(300)
    assert lines == said


def test_a_bar_counts_rows_and_shows_none_before_they_are_known() -> None:
    bar, rows = Progress(*columns()), columns()[2]
    bar.add_task("decoding", total=None)
    (task,) = bar.tasks
    assert rows.render(task).plain == ""
    bar.update(task.id, total=1200.0, completed=300.4)
    assert rows.render(task).plain == "300 of 1,200 rows"
    bar.update(task.id, unit="pictures")
    assert rows.render(task).plain == "300 of 1,200 pictures"
