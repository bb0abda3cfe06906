"""The page of an audit of images: one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from hf_equi.display import shown
from hf_equi.fairness.briefing import named_model, written_date
from hf_equi.fairness.files import write_bytes
from hf_equi.figures import MISSING, number
from hf_equi.groups import ImageGroup
from hf_equi.image_audit.pictures import Picture, load_picture
from hf_equi.image_audit.report.thumbnails import SIDE, thumbnails
from hf_equi.image_audit.summary import VIEW
from hf_equi.image_audit.verdicts import EXACT, Grade, per_cent, verdict
from hf_equi.image_audit.views import View

__all__ = ["REPORT", "most_confused", "write_report"]

REPORT = "report.html"
_DRAWN, _CONFUSED = 4, 12  # pictures shown: evenly spread ones, and those that confuse the first model most

_LOOKS = {Grade.SAME: ("same", "●"), Grade.TOO_FEW: ("few", "○")}
"""The class and the sign of a verdict on the page; any other says that something differs."""

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def write_report(
    folder: Path,
    rows: Rows,
    summary: Mapping[str, Any],
    pictures: Sequence[Picture],
    views: Sequence[View],
    names: Mapping[int, str],
) -> Path:
    """Write the page.

    Args:
        folder: The folder to write to.
        rows: The answers of each model.
        summary: The figures.
        pictures: The pictures, in the order of the answers.
        views: The views.
        names: The classes by number.

    Returns:
        The path of the page.
    """
    first = next(iter(rows))
    confused = most_confused(rows[first], views)[:_CONFUSED]
    drawn = [place for place in _spread(len(pictures), _DRAWN) if place not in confused]
    shown_pictures = {
        place: _picture(pictures[place], place, rows, views, names) for place in dict.fromkeys([*drawn, *confused])
    }
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            summary=summary,
            models=summary["models"],
            first=first,
            group=_group(summary["settings"]["group"]),
            sentences=summary["briefing"],
            views=[view.name for view in views],
            verdict=partial(verdict, pictures=len(pictures)),
            looks=_LOOKS,
            view_key=VIEW,
            per_cent=per_cent,
            number=number,
            exact=EXACT,
            side=SIDE,
            drawn=[shown_pictures[place] for place in drawn],
            confused=[shown_pictures[place] for place in confused],
            settings=_entries(summary["settings"]),
            versions=_entries(summary["versions"]),
            asked=named_model(summary["about"][first]),
            date=written_date(datetime.now(UTC).date().isoformat()),
        )
    )
    write_bytes(folder / REPORT, page.encode(errors="backslashreplace"))
    return folder / REPORT


def most_confused(rows: Sequence[Mapping[str, Any]], views: Sequence[View]) -> list[int]:
    """Return the pictures to which a model gives several answers over the group, those with the most answers first.

    Among pictures with equally many answers, those on which the model is surest of a wrong answer come first.

    Example:
        >>> from hf_equi import ImageGroup
        >>> from hf_equi.image_audit.views import make_views
        >>> views = make_views(ImageGroup.flips("horizontal"))
        >>> row = {"label": 0, "answers": [0, 0], "shares": [0.9, 0.8]}
        >>> most_confused([row, {**row, "answers": [0, 1]}], views)
        [1]
    """
    inside = [place for place, view in enumerate(views) if view.inside]

    def confusion(row: Mapping[str, Any]) -> tuple[int, float]:
        wrong = [row["shares"][place] for place in inside if row["answers"][place] != row["label"]]
        return len({row["answers"][place] for place in inside}), max(wrong, default=0.0)

    ranked = sorted(range(len(rows)), key=lambda place: confusion(rows[place]), reverse=True)
    return [place for place in ranked if confusion(rows[place])[0] > 1]


def _spread(count: int, wanted: int) -> list[int]:
    """Return places spread evenly over all pictures, so that neither class nor result decides which are shown."""
    return sorted({count * place // wanted for place in range(wanted)})


def _picture(
    picture: Picture, place: int, rows: Rows, views: Sequence[View], names: Mapping[int, str]
) -> dict[str, Any]:
    models = [
        {
            "model": model,
            "answers": [
                {"name": names.get(found, str(found)), "share": share, "right": found == picture.label}
                for found, share in zip(answers[place]["answers"], answers[place]["shares"], strict=True)
            ],
        }
        for model, answers in rows.items()
    ]
    return {
        "file": picture.name,
        "label": names.get(picture.label, str(picture.label)),
        "images": thumbnails(load_picture(picture.path), views),
        "models": models,
    }


def _group(content: Mapping[str, Any]) -> str:
    return repr(ImageGroup.from_dict(content)).removeprefix("ImageGroup.")


def _entries(values: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return names with their values; a list has one line per item."""
    return [
        (key, [_plain(item) for item in value] if isinstance(value, list | tuple) and value else [_plain(value)])
        for key, value in values.items()
    ]


def _plain(value: object) -> str:
    if value is None:
        return MISSING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _shown(value: Any) -> Any:
    """Return a value as safe text for the page; markup of the page itself stays."""
    return shown(value, "\n\t") if type(value) is str else value


def _environment() -> Environment:
    places = ("hf_equi.image_audit.report", "hf_equi.fairness.report")  # the second holds the style of all reports
    return Environment(
        loader=ChoiceLoader([PackageLoader(place, ".") for place in places]),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
