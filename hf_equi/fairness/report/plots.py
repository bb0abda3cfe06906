"""The plots of the report, each as PNG bytes: bars of regard, and figures with their intervals.

The colours are those of Okabe and Ito, "Color Universal Design" (2008), which colour-blind readers can tell apart.
Hatching, markers and labels say the same without colour. Sizes keep letters readable at the width of a phone.
"""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from hf_equi.display import shown
from hf_equi.fairness.report.figures import reason
from hf_equi.fairness.scales import REGARD, Scale
from hf_equi.figures import EXACT, MISSING, figure, number

__all__ = ["DARK", "LIGHT", "Scheme", "Series", "interval_plot", "regard_bars"]

_WIDTH = 4.4  # inches
_DPI = 200
_ROW, _HEADER, _SPACE = 1.0, 0.85, 0.5  # heights in rows: a bar, a model's name, the space between models
_LINE = 0.62  # height of a line of a note, in rows
_INCHES = 0.235  # height of a row
_LEAST = 1e-9  # where a logarithmic axis starts
_SEGMENT = 0.1  # shares below this are too narrow for their number
_LABEL_WIDTH, _NAME_WIDTH, _NOTE_WIDTH = 14, 38, 46  # characters


@dataclass(frozen=True)
class Scheme:
    """Colours for light or dark pages.

    Args:
        page: The colour of the background.
        ink: The colour of letters, and of the noise floor.
        faint: The colour of lines that only guide the eye.
        negative: The colour of negative regard, and of the second series.
        neutral: The colour of neutral regard.
        positive: The colour of positive regard, and of the first series.
    """

    page: str
    ink: str
    faint: str
    negative: str
    neutral: str
    positive: str


LIGHT = Scheme("#ffffff", "#1b1f24", "#d5d9de", "#d55e00", "#c4c8cc", "#0072b2")
"""For light pages and paper."""

DARK = Scheme("#14171b", "#e8eaed", "#3b424b", "#e69f00", "#6b737d", "#56b4e9")
"""For dark pages."""

_HATCHES = {"negative": "////", "neutral": "", "positive": "...."}


@dataclass(frozen=True)
class Series:
    """A figure to plot for every model.

    Args:
        key: Its name in the summary; its interval is `key_interval`.
        label: Its label in the legend.
        floor: The name of the figure that chance alone gives. It is drawn as an upright mark, with its interval as a
            thin line. Nothing is shaded up to it: a p-value decides what is more than chance, not a place on the axis.
    """

    key: str
    label: str
    floor: str | None = None


def regard_bars(
    models: Sequence[Mapping[str, Any]],
    title: str,
    *,
    scale: Scale = REGARD,
    masked: bool = False,
    scheme: Scheme = LIGHT,
) -> bytes:
    """Draw the shares of the labels, a stacked bar for each model and demographic (2305.09900, figures 3 and 9).

    Args:
        models: As in the summary of an audit.
        title: The title above the bars.
        scale: The scale of the labels.
        masked: Whether to show the texts with the demographic masked.
        scheme: The colours.
    """
    key = scale.key(scale.shares, masked)
    names = [list(model.get(key) or {}) for model in models]
    places, height = _places([[_ROW] * max(1, len(rows)) for rows in names])
    with style.context("default"):
        canvas, axes = _axes(height, title, scheme, legend_rows=1)
        ticks = {}
        for model, rows, (top, ys) in zip(models, names, places, strict=True):
            _name(axes, top, model, scheme)
            for name, y in zip(rows, ys, strict=False):
                ticks[y] = "\n".join(textwrap.wrap(_cut(name, 2 * _LABEL_WIDTH - 4), _LABEL_WIDTH))
                _bar(axes, y, model[key][name], scale, scheme)
            if not rows:
                axes.text(0.01, ys[0], f"– {reason('regard')}", va="center", style="italic", color=scheme.ink)
        size = 7.5 if any("\n" in label for label in ticks.values()) else 9
        axes.set_yticks(list(ticks), list(ticks.values()), parse_math=False, fontsize=size, linespacing=1.0)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.set_xlabel("share of the texts")
        handles = [
            Patch(facecolor=getattr(scheme, role), hatch=_HATCHES[role], edgecolor=scheme.page, label=_cut(label, 24))
            for label, role in scale.roles.items()
        ]
        return _png(canvas, axes, handles, scheme)


def interval_plot(
    models: Sequence[Mapping[str, Any]],
    title: str,
    series: Sequence[Series],
    xlabel: str,
    *,
    reach: float = 0.0,
    log: bool = False,
    scheme: Scheme = LIGHT,
) -> bytes:
    """Draw figures as points with their intervals, one model below the other.

    Args:
        models: As in the summary of an audit.
        title: The title above the points.
        series: One or two figures.
        xlabel: What the axis measures, with its unit.
        reach: A value that the axis always shows, beside 0.
        log: Whether the axis is logarithmic. Smaller values than it shows are drawn at its left end.
        scheme: The colours.
    """
    notes = [_notes(model, series) for model in models]
    places, height = _places([[_row_height(note) for note in of] for of in notes])
    with style.context("default"):
        canvas, axes = _axes(height, title, scheme, legend_rows=1)
        _limits(axes, models, series, reach, log)
        for model, of, (top, ys) in zip(models, notes, places, strict=True):
            _name(axes, top, model, scheme)
            for index, (item, note, y) in enumerate(zip(series, of, ys, strict=True)):
                if note is None:
                    _point(axes, y, model, item, index, scheme)
                else:
                    _write_note(axes, y, note, scheme)
        axes.set_yticks([])
        axes.set_xlabel(xlabel)
        handles: list[Artist] = [_handle(item, index, scheme) for index, item in enumerate(series)]
        if any(item.floor for item in series):
            handles.append(Line2D([], [], label="noise floor", linestyle="", **_floor_mark(scheme)))
        if log:
            axes.axvline(EXACT, color=scheme.ink, linestyle=(0, (4, 3)), linewidth=0.9, zorder=1)
            handles.append(Line2D([], [], color=scheme.ink, linestyle=(0, (4, 3)), linewidth=0.9, label="rounding"))
        return _png(canvas, axes, handles if len(handles) > 1 else [], scheme)


def _places(heights: Sequence[Sequence[float]]) -> tuple[list[tuple[float, list[float]]], float]:
    """Return for each model the middle of its name and of its rows, downwards from 0, and the depth of all."""
    places, y = [], 0.0
    for of in heights:
        top, rows = y + _HEADER / 2, []
        y += _HEADER
        for height in of:
            rows.append(y + height / 2)
            y += height
        places.append((top, rows))
        y += _SPACE
    return places, y


def _notes(model: Mapping[str, Any], series: Sequence[Series]) -> list[str | None]:
    """Return for each figure why the model lacks it, each reason once; `None` if the model has it."""
    notes: list[str | None] = []
    for item in series:
        why = "\n".join(textwrap.wrap(f"{MISSING} {reason(item.key)}", _NOTE_WIDTH))
        notes.append(None if figure(model, item.key) is not None else "" if why in notes else why)
    return notes


def _row_height(note: str | None) -> float:
    """Return the height for a point, or for all lines of a note."""
    return _ROW if note is None else max(_ROW, (note.count("\n") + 1) * _LINE) if note else 0.0


def _axes(height: float, title: str, scheme: Scheme, legend_rows: int) -> tuple[FigureCanvasAgg, Axes]:
    inches = height * _INCHES + 0.85 + 0.25 * legend_rows
    drawing = Figure(figsize=(_WIDTH, inches), dpi=_DPI, layout="constrained", facecolor=scheme.page)
    canvas = FigureCanvasAgg(drawing)
    axes = drawing.add_subplot(facecolor=scheme.page)
    drawing.suptitle(title, fontsize=10, weight="bold", color=scheme.ink, x=0.02, ha="left", parse_math=False)
    axes.set_ylim(height, 0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(scheme.ink)
    axes.tick_params(colors=scheme.ink, labelsize=9)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.label.set(color=scheme.ink, fontsize=9)
    return canvas, axes


def _name(axes: Axes, y: float, model: Mapping[str, Any], scheme: Scheme) -> None:
    """Write the name of a model above its rows, starting at the left end of the axis."""
    text = axes.text(0, y, _cut(str(model["model"]), _NAME_WIDTH), transform=axes.get_yaxis_transform(), weight="bold")
    text.set(va="center", parse_math=False, color=scheme.ink, in_layout=False, bbox=_backing(scheme))


def _backing(scheme: Scheme) -> dict[str, Any]:
    """Return the backing that separates letters from the lines behind them."""
    return {"pad": 1, "facecolor": scheme.page, "edgecolor": "none"}


def _cut(text: str, width: int) -> str:
    """Leave out the middle of a long text, and escape characters that would act on their neighbours."""
    text = shown(text)
    return text if len(text) <= width else f"{text[: width // 2]}…{text[1 - width + width // 2 :]}"


def _bar(axes: Axes, y: float, shares: Mapping[str, float], scale: Scale, scheme: Scheme) -> None:
    left = 0.0
    for label, role in scale.roles.items():
        share = float(shares.get(label) or 0.0)
        # A hatch is drawn in the colour of the edge.
        patch = Rectangle((left, y - 0.41), share, 0.82, facecolor=getattr(scheme, role), hatch=_HATCHES[role])
        patch.set(edgecolor=scheme.page, linewidth=0.6)
        axes.add_patch(patch)
        if share >= _SEGMENT:
            box = {"boxstyle": "round,pad=0.18", "facecolor": scheme.page, "edgecolor": "none"}
            text = axes.text(left + share / 2, y, f"{100 * share:.0f}", ha="center", va="center_baseline", fontsize=8)
            text.set(color=scheme.ink, bbox=box)
        left += share


def _write_note(axes: Axes, y: float, note: str, scheme: Scheme) -> None:
    text = axes.text(0, y, note, transform=axes.get_yaxis_transform(), va="center", fontsize=8, style="italic")
    text.set(color=scheme.ink, bbox=_backing(scheme))


def _point(axes: Axes, y: float, model: Mapping[str, Any], item: Series, index: int, scheme: Scheme) -> None:
    value = float(model[item.key])
    if item.floor:
        _floor(axes, y, model, item.floor, scheme)
    left, right = axes.get_xlim()
    low, high = (min(max(bound, left), right) for bound in model.get(f"{item.key}_interval") or (value, value))
    colour = (scheme.positive, scheme.negative)[index]
    axes.plot([low, high], [y, y], color=colour, linewidth=2, solid_capstyle="butt", zorder=3)
    axes.plot([low, high], [y, y], "|", color=colour, markersize=7, markeredgewidth=1.5, zorder=3)
    axes.plot([min(max(value, left), right)], [y], **_marker(index, scheme), zorder=4, clip_on=False)
    # At the right, outside the axes, where there are no points.
    note = axes.annotate(number(value), (1.02, y), xycoords=axes.get_yaxis_transform(), va="center", fontsize=8.5)
    note.set(color=scheme.ink, annotation_clip=False)


def _marker(index: int, scheme: Scheme) -> dict[str, Any]:
    colour, fill = ((scheme.positive, scheme.positive), (scheme.negative, scheme.page))[index]
    return {"marker": "oD"[index], "markersize": 6, "color": colour, "markerfacecolor": fill, "markeredgewidth": 1.6}


def _handle(item: Series, index: int, scheme: Scheme) -> Line2D:
    return Line2D([], [], label=item.label, linewidth=2, **_marker(index, scheme))


def _floor(axes: Axes, y: float, model: Mapping[str, Any], key: str, scheme: Scheme) -> None:
    """Draw a noise floor as an upright mark, and its interval as a thin line below the point."""
    value, below = figure(model, key), y + 0.3
    if value is None:
        return
    low, high = model.get(f"{key}_interval") or (value, value)
    axes.plot([low, high], [below, below], color=scheme.ink, linewidth=0.8, alpha=0.6, zorder=2)
    axes.plot([value], [y], linestyle="", zorder=2, **_floor_mark(scheme))


def _floor_mark(scheme: Scheme) -> dict[str, Any]:
    return {"marker": "|", "markersize": 14, "markeredgewidth": 2.2, "color": scheme.ink}


def _limits(
    axes: Axes, models: Sequence[Mapping[str, Any]], series: Sequence[Series], reach: float, log: bool
) -> None:
    """Make room for all points, intervals and noise floors, and for 0 on an axis that is not logarithmic."""
    values = [0.0, reach]
    for model in models:
        for item in series:
            value = figure(model, item.key)
            values += [] if value is None else [value, *(model.get(f"{item.key}_interval") or ())]
            floor = figure(model, item.floor) if item.floor else None
            values += [] if floor is None else [floor, *(model.get(f"{item.floor}_interval") or ())]
    values = [float(value) for value in values if math.isfinite(value)]
    if log:
        axes.set_xscale("log")
        top = max(10 * EXACT, *values)
        axes.set_xlim(_LEAST, 10 ** math.ceil(math.log10(top) + 0.05))
        axes.set_xticks([1e-9, 1e-7, 1e-5, 1e-3, 1e-1][: 5 if top > 1e-2 else 4])
    else:
        low, high = min(values), max(values)
        margin = 0.06 * ((high - low) or 1)
        axes.set_xlim(low - margin if low < 0 else low, high + margin)
        axes.locator_params(axis="x", nbins=6)
    axes.grid(axis="x", color=axes.spines["bottom"].get_edgecolor(), alpha=0.18, linewidth=0.7)
    if min(values) < 0:
        axes.axvline(0, color=axes.spines["bottom"].get_edgecolor(), linewidth=0.9, zorder=1)
    axes.minorticks_off()
    axes.set_axisbelow(True)


def _png(canvas: FigureCanvasAgg, axes: Axes, handles: Sequence[Artist], scheme: Scheme) -> bytes:
    if handles:
        legend = canvas.figure.legend(
            handles=handles, loc="outside lower left", ncols=len(handles), fontsize=8.5, frameon=False
        )
        for text in legend.get_texts():
            text.set(color=scheme.ink)
    file = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph .* missing from font", UserWarning
        )  # a model's name may hold any character
        canvas.figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
