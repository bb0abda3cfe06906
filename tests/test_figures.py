"""Names and numbers of figures, against what is written out here."""

from __future__ import annotations

import pytest

from hf_equi.figures import (
    FIGURES,
    MAIN,
    Figure,
    figure,
    interval,
    listed,
    number,
    per_cent,
    plain_number,
    short_number,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.000999, "0.001"),
        (0.00094, "9.4×10⁻⁴"),
        (-2e-12, "−2.0×10⁻¹²"),
        (1.0, "1.000"),
        (99.96, "100.0"),
        (123456.7, "123,457"),
        (7, "7"),
        (float("nan"), "–"),
        (float("-inf"), "−∞"),
    ],
)
def test_numbers_have_the_digits_that_a_reader_can_use(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0.000"),
        (0.001, "0.001"),
        (0.00094, "9.4e-04"),
        (-2e-12, "-2.0e-12"),
        (99.96, "99.960"),
        (123.456, "123.5"),
        (7, "7.000"),
        (float("nan"), "nan"),
    ],
)
def test_plain_numbers_can_be_read_by_programs(value: float | None, text: str) -> None:
    assert plain_number(value) == text
    if value is not None:
        assert float(text) == pytest.approx(value, abs=5e-4, rel=0.05, nan_ok=True)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.00"), (0.01, "0.01"), (0.0051, "0.005"), (-0.5, "-0.50"), (4e-5, "4e-05")]
)
def test_short_numbers_have_six_letters_at_most(value: float, text: str) -> None:
    assert short_number(value) == text


def test_shares_in_per_cent_are_those_of_tables() -> None:
    """But only all is 100 %, and only none is 0 %."""
    for texts in (15, 16, 30, 2000):
        for same in range(1, texts):
            percent = per_cent(same / texts)
            assert 0 < percent < 100
            if 0.001 <= same / texts < 0.999:
                assert plain_number(same / texts) == f"{percent / 100:.3f}"
    assert (per_cent(0.99999), per_cent(1), per_cent(0)) == (99.9, 100, 0)


def test_figures_have_other_names_where_they_say_so_alone() -> None:
    assert list(FIGURES) == [figure.key for figure in FIGURES.values()]
    on_cards = {key for key, named in FIGURES.items() if named.card}
    assert on_cards < {*MAIN} < {*FIGURES}
    assert Figure("a", "Long Name").brief_title == "Long Name"
    assert Figure("a", "Long Name").terminal_title == "long name"
    both = Figure("a", "Long Name", brief="Name", terminal="a")
    assert (both.brief_title, both.terminal_title) == ("Name", "a")


def test_a_figure_that_is_not_a_number_is_missing() -> None:
    assert figure({"a": float("nan")}, "a") is None
    assert figure({"a": None}, "a") is None
    assert figure({}, "a") is None
    assert figure({"a": 0.0}, "a") == 0.0


def test_nothing_is_written_as_nothing() -> None:
    assert (interval(None), listed([])) == ("", "")
