"""The page of an audit: one HTML file that needs nothing else, and its plots beside it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hf_equi.display import shown
from hf_equi.errors import ConfigurationError
from hf_equi.fairness import verdicts
from hf_equi.fairness.briefing import TOY, brief, written_size
from hf_equi.fairness.files import write_bytes
from hf_equi.fairness.report import figures
from hf_equi.fairness.report.plots import DARK, LIGHT, Series, interval_plot, regard_bars
from hf_equi.fairness.report.texts import Moved, template_texts, text_columns
from hf_equi.fairness.report.words import Words
from hf_equi.fairness.scales import REGARD, Scale, read_scales
from hf_equi.fairness.templates import ranked_templates
from hf_equi.fairness.verdicts import Grade, judge
from hf_equi.figures import MISSING, figure, listed, number

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["PLOTS", "Plot", "write_report"]

Models = Sequence[Mapping[str, Any]]
_MARKS = {
    Grade.ALIKE: ("same", "●"),
    Grade.ALMOST_ALIKE: ("same", "●"),
    Grade.DIFFERENT: ("differs", "▲"),
    Grade.NOT_SHOWN: ("unknown", "○"),
    Grade.UNCLEAR: ("unknown", "◆"),
}  # class and sign of a verdict
_KINDS = (("Texts as they are", False), ("Texts with the words hidden", True))


@dataclass(frozen=True)
class Plot:
    """A plot of the report.

    Args:
        name: The name of its file, without `.png`.
        title: The title above the plot.
        draw: Makes the PNG from the models, the title and `scheme=`.
        describe: Makes the alternative text.
    """

    name: str
    title: str
    draw: Callable[..., bytes]
    describe: Callable[[Models], str]


def _describe_shares(models: Models, scale: Scale, masked: bool) -> str:
    parts = []
    for model in models:
        for name, shares in (model.get(scale.key(scale.shares, masked)) or {}).items():
            said = ", ".join(f"{100 * (shares.get(label) or 0):.0f} % {label}" for label in scale.labels)
            parts.append(f"{model['model']}, {name}: {said}")
    return f"Stacked bars. {'; '.join(parts) or 'No shares'}."


def _describe_series(models: Models, series: Sequence[Series]) -> str:
    parts = []
    for model in models:
        said = ", ".join(
            f"{label} {number(figure(model, key))}"
            for item in series
            for label, key in ((item.label, item.key), ("noise floor", item.floor))
            if key
        )
        parts.append(f"{model['model']}: {said}")
    return f"Points with intervals. {'; '.join(parts)}."


def _bars(name: str, title: str, scale: Scale, masked: bool) -> Plot:
    how: dict[str, Any] = {"scale": scale, "masked": masked}
    return Plot(name, title, partial(regard_bars, **how), partial(_describe_shares, **how))


def _points(name: str, title: str, xlabel: str, *series: Series, reach: float = 0.0, log: bool = False) -> Plot:
    draw = partial(interval_plot, series=series, xlabel=xlabel, reach=reach, log=log)
    return Plot(name, title, draw, partial(_describe_series, series=series))


def _label_plots(scale: Scale, stem: str) -> tuple[Plot, ...]:
    """Return the plots of a scorer: the shares of its labels, plain and masked, their gaps and its mean."""
    of = f", {scale.name}" if scale.name else ""
    gap, floor, mean = "parity_gap", "control_parity_gap", scale.mean
    ways = (("as they are", False), ("words hidden", True))
    return (
        _bars(stem, f"Labels of the texts as they are{of}", scale, False),
        _bars(f"{stem}_masked", f"Labels with the words hidden{of}", scale, True),
        _points(
            "gaps" if stem == "regard" else f"{stem}_gaps",
            f"Parity gap and noise floor{of}",
            "parity gap: 0 = same labels, 1 = no label in common",
            *(Series(scale.key(gap, masked), way, scale.key(floor, masked)) for way, masked in ways),
        ),
        _points(
            f"mean_{stem}",
            "Mean regard" if not scale.name else f"Mean, {scale.name}",
            scale.said,
            *(Series(scale.key(mean, masked), way) for way, masked in ways),
        ),
    )


_EXCHANGE = (
    _points(
        "group_gap",
        "Group gap",
        "nats a token, logarithmic",
        Series("group_gap", "largest"),
        Series("group_gap_mean", "mean"),
        log=True,
    ),
    _points(
        "consistency",
        "Consistency",
        "share of coupled pairs that differ by an exchange alone",
        Series("consistency", "consistency"),
        reach=1.0,
    ),
)
PLOTS = (*_label_plots(REGARD, "regard"), *_EXCHANGE)
"""The plots of an audit of regard."""


@dataclass(frozen=True)
class Section:
    """The section of the page about one scorer.

    Args:
        scale: Its labels.
        id: The id of the section, for links.
        toy: The caveat about a toy classifier; empty for any other.
        plots: The names of its plots: shares, masked shares, gaps, mean.
        shares: The tables of the shares, each with its title.
    """

    scale: Scale
    id: str
    toy: str
    plots: tuple[str, ...]
    shares: tuple[tuple[str, figures.Table], ...]


def write_report(folder: Path, samples: Dataset, summary: Mapping[str, Any], moved: Moved | None = None) -> Path:
    """Write the report of an audit: `report.html` and the PNG files of its plots.

    The page is one file that loads nothing, runs no script and escapes every text of the samples. It has light and
    dark colours and fits a phone. The same input gives the same bytes.

    Args:
        folder: The folder to write to. It is created if necessary, and files with the same names are replaced.
        samples: One row per sample, with the columns of an audit.
        summary: The figures: `models`, `confidence`, `resamples`, `seed`, `settings` and `versions`. A figure that is
            None is shown as "–", with the reason.
        moved: Splits a text into pieces, each with a flag that says if the group moves it. The samples mark these.

    Returns:
        The path of the page.

    Raises:
        ConfigurationError: For no samples, missing columns, a summary without models, two samples that share model,
            template, number and demographic, and pieces that do not make up their text.

    Cost: about 2 s for the 12 images and 1 s for each 3,000 samples, on one core.
    """
    models: Models = summary.get("models") or []
    if not models:
        raise ConfigurationError("The summary has no models: pass that of an audit, with one entry per model.")
    scales = read_scales(samples.column_names) or (REGARD,)
    missing = [name for name in text_columns(scales) if name not in samples.column_names]
    if missing:
        raise ConfigurationError(f"The samples lack the columns {', '.join(missing)}: pass those of an audit.")
    if not len(samples):
        raise ConfigurationError("There are no samples to report on.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {}
    plots = _plots(scales)
    for plot in plots:
        light = plot.draw(models, plot.title, scheme=LIGHT)
        write_bytes(folder / f"{plot.name}.png", light)
        pictures[plot.name] = {
            "light": _data_uri(light),
            "dark": _data_uri(plot.draw(models, plot.title, scheme=DARK)),
            "alt": f"{plot.title}. {plot.describe(models)}",
        }
    context = _context(samples, summary, moved) | {"files": [f"{plot.name}.png" for plot in plots]}
    page = _environment().get_template("page.html.j2").render(**context, pictures=pictures)
    path = folder / "report.html"
    write_bytes(path, page.encode())
    return path


def _context(samples: Dataset, summary: Mapping[str, Any], moved: Moved | None) -> dict[str, Any]:
    models: Models = summary["models"]
    names = [str(model["model"]) for model in models]
    scales = read_scales(samples.column_names)
    confidence = summary.get("confidence") or 0.95
    demographics = list(dict.fromkeys(samples["demographic"]))
    return {
        "heading": _heading(names, demographics),
        "verdicts": [(str(model["model"]), judge(model, 1 - confidence)) for model in models],
        "marks": _MARKS,
        "small_gap": verdicts.SMALL_GAP,
        "high_consistency": verdicts.HIGH_CONSISTENCY,
        "confidence": f"{100 * confidence:g} %",
        "level": f"{1 - confidence:.4g}",
        "resamples": summary.get("resamples"),
        "briefing": brief(summary).parts,
        "worst": _worst(summary, names[0]),
        "words": Words(),
        "short": figures.table(models, figures.main_figures(scales)),
        "full": figures.table(models, figures.all_figures(scales), upright=True),
        "sections": _sections(models, scales, summary),
        "no_likelihood": [str(model["model"]) for model in models if figure(model, "group_gap") is None],
        "coupled": len(demographics) > 1,
        "several_pairs": len(demographics) > 2,
        "templates": template_texts(samples.select_columns(text_columns(scales)), names, moved, scales),
        "marked": moved is not None,
        "number": number,
        "count": len(samples),
        "settings": _settings(summary),
        "versions": _entries(summary.get("versions") or {}),
    }


def _plots(scales: Sequence[Scale]) -> list[Plot]:
    """Return the plots in page order. Files are numbered by scorer, because its name may not suit a file."""
    own = {plot.name: plot for plot in PLOTS}
    made = [
        own.get(plot.name, plot)
        for place, scale in enumerate(scales)
        for plot in _label_plots(scale, _stem(scale, place))
    ]
    return [*made, *(own[plot.name] for plot in _EXCHANGE)]


def _stem(scale: Scale, place: int) -> str:
    return f"scorer_{place + 1}" if scale.name else "regard"


def _sections(models: Models, scales: Sequence[Scale], summary: Mapping[str, Any]) -> list[Section]:
    about = (summary.get("about") or {}).get("scorers") or {}
    return [
        Section(
            scale,
            _stem(scale, place),
            _toy(about.get(scale.title) or {}),
            tuple(plot.name for plot in _label_plots(scale, _stem(scale, place))),
            tuple((kind, figures.shares_table(models, scale, masked)) for kind, masked in _KINDS),
        )
        for place, scale in enumerate(scales)
    ]


def _toy(about: Mapping[str, Any]) -> str:
    if not about.get("toy"):
        return ""
    return f"The classifier {about['source']} has {written_size(about['parameters'])}. {TOY}"


def _worst(summary: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return the prompts of a model, the most different first, and the figure that ranks them."""
    key, found = ranked_templates(summary.get("templates") or (), model)
    return {"key": key, "model": model, "templates": found}


def _heading(models: Sequence[str], demographics: Sequence[str]) -> str:
    """Return the question that the report answers.

    Example:
        >>> _heading(["base", "EquiLM"], ["man", "woman"])
        'How differently does each model speak of man and woman?'
    """
    who = models[0] if len(models) == 1 else "each model"
    how = "How differently does" if len(demographics) > 1 else "How does"
    return f"{how} {who} speak of {listed(demographics)}?"


def _settings(summary: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    own = {key: summary[key] for key in ("confidence", "resamples", "seed") if key in summary}
    return _entries({**(summary.get("settings") or {}), **own})


def _entries(values: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return names with their values; a list has one line per item."""
    return [
        (str(key), [_plain(item) for item in value] if isinstance(value, list | tuple) and value else [_plain(value)])
        for key, value in values.items()
    ]


def _plain(value: object) -> str:
    if value is None:
        return MISSING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode('ascii')}"


def _shown(value: Any) -> Any:
    """Return a value as safe text for the page; markup of the page itself stays."""
    return shown(value, "\n\t") if type(value) is str else value


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("hf_equi.fairness.report", "."),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
