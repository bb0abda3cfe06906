"""The plots: that they are images, that they show the figures, and that what is missing does no harm."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from hf_equi.fairness.report.plots import DARK, LIGHT, Scheme, Series, interval_plot, regard_bars
from hf_equi.fairness.scales import Scale

GAP = Series("parity_gap", "as they are", "control_parity_gap")
MASKED = Series("masked_parity_gap", "words hidden", "masked_control_parity_gap")


def pixels(png: bytes) -> np.ndarray:
    image = Image.open(BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB")).astype(int)


def colour(text: str) -> list[int]:
    return [int(text[place : place + 2], 16) for place in (1, 3, 5)]


def painted(png: bytes, text: str) -> np.ndarray:
    """Which pixels have a colour, nearly."""
    return (np.abs(pixels(png) - colour(text)) < 8).all(-1)


def model(negative: float, neutral: float, name: str = "base") -> dict[str, Any]:
    shares = {"negative": negative, "neutral": neutral, "positive": 1 - negative - neutral}
    return {"model": name, "regard": {"man": shares}}


def gap(value: float | None, floor: float = 0.1) -> dict[str, Any]:
    interval = None if value is None else [value - 0.01, value + 0.01]
    control = {"control_parity_gap": floor / 2, "control_parity_gap_interval": [0.0, floor]}
    return {"model": "base", "parity_gap": value, "parity_gap_interval": interval, **control}


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_an_image_has_its_colours(audit: tuple[Any, dict], scheme: Scheme) -> None:
    png = regard_bars(audit[1]["models"], "Regard", scheme=scheme)
    assert pixels(png)[0, 0].tolist() == colour(scheme.page)
    for name in (scheme.negative, scheme.neutral, scheme.positive, scheme.ink):
        assert painted(png, name).sum() > 500
    assert 800 <= pixels(png).shape[1] <= 900  # it is shown at half its width, or less on a phone


def test_bars_are_as_long_as_their_shares() -> None:
    legend = painted(regard_bars([model(0.5, 0.0)], "Regard"), LIGHT.neutral).sum()
    short, long = (painted(regard_bars([model(0.1, n)], "Regard"), LIGHT.neutral).sum() - legend for n in (0.2, 0.8))
    assert long / short == pytest.approx(4, rel=0.25)  # the number covers a part of each


def test_masked_shares_are_other_ones() -> None:
    both = model(0.9, 0.1) | {"masked_regard": {"man": {"negative": 0.0, "neutral": 0.0, "positive": 1.0}}}
    plain, masked = (painted(regard_bars([both], "R", masked=way), LIGHT.positive).sum() for way in (False, True))
    assert masked > 4 * plain


def test_the_label_that_is_minimised_has_the_colour_of_what_is_negative() -> None:
    toxic = Scale("toxic", ("toxic", "not toxic"))
    png = regard_bars(
        [{"model": "base", "toxic:shares": {"man": {"toxic": 0.75, "not toxic": 0.25}}}], "T", scale=toxic
    )
    assert painted(png, LIGHT.negative).sum() > painted(png, LIGHT.positive).sum() > 500
    assert painted(png, LIGHT.neutral).sum() < 200  # the edges of letters


def test_a_larger_gap_stands_further_to_the_right() -> None:
    def centre(value: float) -> float:
        png = interval_plot([gap(value), gap(0.5)], "Gap", [GAP], "distance")
        columns = painted(png, LIGHT.positive)[: pixels(png).shape[0] * 2 // 5].nonzero()[1]
        return float(columns.mean())

    low, middle, high = map(centre, (0.1, 0.25, 0.4))
    assert low < middle < high
    assert middle - low == pytest.approx(high - middle, abs=3)


def test_the_noise_floor_is_a_mark_at_its_value_whatever_its_interval() -> None:
    """A band up to the end of the interval once held gaps whose p-value was far below the level."""

    def mark(floor: float, high: float) -> int:
        models = [gap(0.5) | {"control_parity_gap": floor, "control_parity_gap_interval": [0.0, high]}]
        png = interval_plot(models, "Gap", [GAP], "distance", reach=1.0)
        upper = painted(png, LIGHT.ink)[: pixels(png).shape[0] // 2]
        return int(upper.sum(0).argmax())  # no letter is as high

    places = [mark(floor, 0.4) for floor in (0.1, 0.2, 0.3)]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=3)
    assert places[1] - places[0] > 40
    assert mark(0.2, 0.9) == places[1]


def test_a_logarithmic_axis_takes_0_and_what_is_below_its_start() -> None:
    models = [{"model": "a", "group_gap": 0.0, "group_gap_interval": [0.0, 0.0]}, {"model": "b", "group_gap": 3.0}]
    png = interval_plot(models, "Group gap", [Series("group_gap", "largest")], "nats", log=True)
    assert painted(png, LIGHT.positive).sum() > 500


@pytest.mark.parametrize("log", [False, True])
def test_missing_figures_are_said_and_not_drawn(log: bool) -> None:
    series = [GAP, MASKED]
    nothing = interval_plot([gap(None)], "Gap", series, "distance", log=log)
    assert painted(nothing, LIGHT.ink).sum() > 500
    something = interval_plot([gap(0.2)], "Gap", series, "distance", log=log)
    assert painted(something, LIGHT.positive).sum() > painted(nothing, LIGHT.positive).sum()
    assert pixels(regard_bars([{"model": "base", "regard": None}], "Regard")).shape[1] > 800


def test_a_note_leaves_the_names_of_the_models_readable() -> None:
    """A note of several lines needs the room of several rows."""
    series = [Series("group_gap", "largest"), Series("group_gap_mean", "mean")]

    def ink(name: str, value: float | None) -> int:
        figures = [{"model": name, "group_gap": value, "group_gap_mean": value}] * 5
        return int(painted(interval_plot(figures, "Group gap", series, "nats"), LIGHT.ink).sum())

    with_note, with_point = (ink("EquizeroLM of MMMM", value) - ink("", value) for value in (None, 0.5))
    assert with_note == pytest.approx(with_point, rel=0.02)


def test_names_of_any_length_and_letters_fit() -> None:
    names = ["x" * 90, "$\\frac{1}", "模型", "a\nb"]
    models = [model(0.2, 0.3, name) | {"regard": {name: model(0.2, 0.3)["regard"]["man"]}} for name in names]
    image = pixels(regard_bars(models, "Regard"))
    assert 800 <= image.shape[1] <= 900
    plain = pixels(regard_bars([model(0.2, 0.3, "x")] * 4, "Regard"))
    assert image.shape == plain.shape


def test_the_same_figures_give_the_same_bytes_whatever_the_style(make_audit: Callable[..., Any]) -> None:
    _, summary = make_audit(models=("base",), templates=("a",), samples=2)
    first = regard_bars(summary["models"], "Regard")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "hatch.linewidth": 5}):
        assert regard_bars(summary["models"], "Regard") == first
