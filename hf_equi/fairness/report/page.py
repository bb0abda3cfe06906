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
from hf_equi.fairness.files import write_bytes
from hf_equi.fairness.report import figures
from hf_equi.fairness.report.plots import DARK, LIGHT, Series, interval_plot, regard_bars
from hf_equi.fairness.report.texts import COLUMNS, Moved, template_texts
from hf_equi.fairness.verdicts import Grade, judge
from hf_equi.figures import MISSING, figure, listed, number
from hf_equi.generation.scorers import LABELS

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
_KINDS = (("Texts as they are", ""), ("Texts with the demographic masked", "masked_"))


@dataclass(frozen=True)
class Plot:
    """A plot of the report.

    Args:
        name: Of its file, without `.png`.
        title: Above the plot.
        draw: Makes the PNG from the models, the title and `scheme=`.
        describe: Makes the text that stands for it where it cannot be seen.
    """

    name: str
    title: str
    draw: Callable[..., bytes]
    describe: Callable[[Models], str]


def _describe_shares(models: Models, prefix: str = "") -> str:
    parts = []
    for model in models:
        for name, shares in (model.get(f"{prefix}regard") or {}).items():
            said = ", ".join(f"{100 * (shares.get(label) or 0):.0f} % {label}" for label in LABELS)
            parts.append(f"{model['model']}, {name}: {said}")
    return f"Stacked bars. {'; '.join(parts) or 'No shares'}."


def _describe_series(models: Models, series: Sequence[Series]) -> str:
    parts = []
    for model in models:
        said = ", ".join(f"{item.label} {number(figure(model, item.key))}" for item in series)
        parts.append(f"{model['model']}: {said}")
    return f"Points with intervals. {'; '.join(parts)}."


def _bars(name: str, title: str, prefix: str) -> Plot:
    return Plot(name, title, partial(regard_bars, prefix=prefix), partial(_describe_shares, prefix=prefix))


def _points(name: str, title: str, xlabel: str, *series: Series, reach: float = 0.0, log: bool = False) -> Plot:
    draw = partial(interval_plot, series=series, xlabel=xlabel, reach=reach, log=log)
    return Plot(name, title, draw, partial(_describe_series, series=series))


PLOTS = (
    _bars("regard", "Labels of the texts as they are", ""),
    _bars("regard_masked", "Labels with the demographic masked", "masked_"),
    _points(
        "gaps",
        "Parity gap and noise floor",
        "total variation distance",
        Series("parity_gap", "plain", "control_parity_gap"),
        Series("masked_parity_gap", "masked", "masked_control_parity_gap"),
    ),
    _points(
        "mean_regard",
        "Mean regard",
        "P(positive) − P(negative)",
        Series("mean_regard", "plain"),
        Series("masked_mean_regard", "masked"),
    ),
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
        "Counterfactual consistency",
        "share of coupled pairs that differ by an exchange alone",
        Series("consistency", "consistency"),
        reach=1.0,
    ),
)
"""The plots in the order of the page."""


def write_report(folder: Path, samples: Dataset, summary: Mapping[str, Any], moved: Moved | None = None) -> Path:
    """Write the report of an audit: `report.html` and the PNG files of its plots.

    The page is one file that loads nothing, runs no script and shows every text of the samples escaped. It has light
    and dark colours and fits a phone. The same input gives the same bytes.

    Args:
        folder: Where to write; it is made if need be, and files of the same names are replaced.
        samples: One row a sample, with `hf_equi.fairness.report.texts.COLUMNS`.
        summary: The figures: `models`, `confidence`, `resamples`, `seed`, `settings` and `versions`. A figure that is
            None is shown as "–", with why.
        moved: Splits a text into pieces, each with whether the group moves it; those are marked in the samples.

    Returns:
        The path of the page.

    Raises:
        ConfigurationError: For no samples, missing columns, a summary without models, two samples that share model,
            template, number and demographic, and pieces that do not make up their text.

    Cost: about 2 s for the 12 images and 1 s for each 3,000 samples, on one core.
    """
    models: Models = summary.get("models") or []
    if not models:
        raise ConfigurationError("The summary has no models: pass that of an audit, with one entry a model.")
    missing = [name for name in COLUMNS if name not in samples.column_names]
    if missing:
        raise ConfigurationError(f"The samples lack the columns {', '.join(missing)}: pass those of an audit.")
    if not len(samples):
        raise ConfigurationError("There are no samples to report on.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for plot in PLOTS:
        light = plot.draw(models, plot.title, scheme=LIGHT)
        write_bytes(folder / f"{plot.name}.png", light)
        pictures[plot.name] = {
            "light": _data_uri(light),
            "dark": _data_uri(plot.draw(models, plot.title, scheme=DARK)),
            "alt": f"{plot.title}. {plot.describe(models)}",
        }
    context = _context(samples, summary, moved)
    page = _environment().get_template("page.html.j2").render(**context, pictures=pictures)
    path = folder / "report.html"
    write_bytes(path, page.encode())
    return path


def _context(samples: Dataset, summary: Mapping[str, Any], moved: Moved | None) -> dict[str, Any]:
    models: Models = summary["models"]
    names = [str(model["model"]) for model in models]
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
        "short": figures.table(models, figures.MAIN_FIGURES),
        "full": figures.table(models, figures.ALL_FIGURES, upright=True),
        "shares": [(kind, figures.shares_table(models, prefix)) for kind, prefix in _KINDS],
        "no_likelihood": [str(model["model"]) for model in models if figure(model, "group_gap") is None],
        "coupled": len(demographics) > 1,
        "templates": template_texts(samples.select_columns(list(COLUMNS)), names, moved),
        "marked": moved is not None,
        "number": number,
        "count": len(samples),
        "settings": _settings(summary),
        "versions": _entries(summary.get("versions") or {}),
        "files": [f"{plot.name}.png" for plot in PLOTS],
    }


def _heading(models: Sequence[str], demographics: Sequence[str]) -> str:
    """The question of the reader.

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
    """Names with their values, a list as one line an item."""
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
    """What the page is filled with; markup of its own stays."""
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
