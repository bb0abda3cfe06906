"""The results of the page as HTML: without scripts, and with all texts escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from hf_equi.demo.answers import Answer
from hf_equi.display import Pieces, shown
from hf_equi.fairness.completions import Member
from hf_equi.figures import number

__all__ = ["problem_html", "results_html", "styles", "waiting_html"]

_LEAST = 0.0005  # from here on it is shown as 0.1 per cent or more


@dataclass(frozen=True)
class _Bar:
    """A bar of the next-token probabilities.

    Args:
        who: The member that it belongs to.
        share: The probability.
        width: The width, in per cent of the widest bar.
    """

    who: str
    share: float
    width: float


def results_html(answer: Answer) -> str:
    """Return the texts of both models for every member, their next tokens, and their gaps."""
    names = _names(answer.members)
    words = [word for word in answer.words if max((*word.base, *(word.equi or ()))) >= _LEAST] or answer.words[:1]
    models = {"Base model": [word.base for word in words]}
    if words[0].equi is not None:
        models[answer.title] = [word.equi or () for word in words]
    widest = max((share for rows in models.values() for row in rows for share in row), default=0.0) or 1.0
    charts = [
        (name, [[_Bar(*pair, 100 * pair[1] / widest) for pair in zip(names, row, strict=True)] for row in rows])
        for name, rows in models.items()
    ]
    return _plain(
        _template("results.html.j2").render(answer=answer, texts=[word.text for word in words], charts=charts)
    )


def problem_html(problem: str) -> str:
    """Return one sentence that says what is wrong."""
    return _plain(_template("problem.html.j2").render(problem=_sentence(problem)))


def waiting_html() -> str:
    """Return what the page shows before there are results."""
    return '<p class="equi-hint">Write a prompt and press Compare.</p>'


@cache
def styles() -> str:
    """Return the style sheet of the page."""
    return resources.files("hf_equi.demo").joinpath("results.css").read_text(encoding="utf-8")


def _names(members: Sequence[Member]) -> list[str]:
    """Return names that tell the members apart, with as few of the moved words as possible."""
    words = [[piece.strip() for piece, moved in member.prompt if moved] for member in members]
    most = max(map(len, words))
    names = [[" … ".join(some[:count]) for some in words] for count in range(1, most + 1)]
    return next((some for some in names if len({*some}) == len(members)), [" … ".join(some) for some in words])


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"


def _lines(pieces: Pieces) -> list[tuple[str, bool]]:
    """Return pieces with their control characters written out, the first without its leading space."""
    written: list[tuple[str, bool]] = []
    for piece, moved in pieces:
        text = shown(piece, "\n")
        word = text.lstrip() if moved else text  # a mark begins with the word, not with the space before it
        written += [(text[: len(text) - len(word)], False), (word, moved)]
    first = next((place for place, (text, _) in enumerate(written) if text), 0)
    written[first : first + 1] = [(text.lstrip(" "), moved) for text, moved in written[first : first + 1]]
    return written


def _plain(html: str) -> str:
    """Return HTML in which a template language of the page finds nothing to act on."""
    return html.replace("{", "&#123;").replace("$", "&#36;")


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("hf_equi", "demo"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"lines": _lines, "number": number, "sentence": _sentence, "shown": shown}
    return environment.get_template(name)
