"""The findings of an audit in a paragraph: what was asked, what differs, what removes it, and where it is worst."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from hf_equi.fairness.scales import MASKED, demographics, prefixes
from hf_equi.fairness.templates import ranked_templates
from hf_equi.fairness.verdicts import Grade, judge
from hf_equi.figures import EXACT, figure, listed, number, per_cent

__all__ = ["TOY", "Briefing", "brief", "named_model", "written_date", "written_size"]

TOY = "It is a toy: it shows how an audit works, and its labels say little about real texts."
"""The caveat about the embedded classifier."""

_GOOD = (Grade.ALIKE, Grade.ALMOST_ALIKE)
_PROMPTS = 3  # prompts that are named
_NAMED = 3  # sets of words that are named
_LONGEST = 90  # characters of a prompt
_UNITS = {
    "group_gap_mean": "{} nats a token on average",
    "inconsistency": "{} of the coupled texts differ",
    "score_gap": "mean scores {} apart",
}


@dataclass(frozen=True)
class Briefing:
    """A paragraph in four parts. A part is empty if nothing is known about it.

    Args:
        asked: What was asked of which model, on which date, and who judged the texts.
        differs: What differs, and how certain that is.
        mends: Which method removes the difference, and at what cost.
        prompts: Which prompts differ most.
    """

    asked: str
    differs: str
    mends: str
    prompts: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that are not empty."""
        return tuple(filter(None, (self.asked, self.differs, self.mends, self.prompts)))


def brief(summary: Mapping[str, Any]) -> Briefing:
    """Say what the figures of an audit mean for a reader who has to act on them.

    The other models are compared with the first one that no method changed, or else with the first.

    Args:
        summary: The summary of an audit. Parts that an earlier release did not write (`about`, `measured`,
            `templates`) are left out.

    Example:
        >>> figures = {"model": "base", "consistency": 0.13, "regard": {"man": {}, "woman": {}}}
        >>> print(brief({"models": [figures]}).differs)
        base treats man and woman differently: 87 % of its coupled texts are different. That is measured on the ...
    """
    models = summary["models"]
    if not models:
        return Briefing("", "", "", "")
    level = 1 - (summary.get("confidence") or 0.95)
    described = {entry.get("name"): entry for entry in (summary.get("settings") or {}).get("models") or ()}
    plain = [model for model in models if _is_plain(described.get(model["model"]) or {})]
    first = (plain or models)[0]
    others = [model for model in models if model is not first]
    return Briefing(
        _asked(summary, first, others),
        _differs(first, level, as_it_is=first in plain),
        _mends(summary, first, others, level),
        _prompts(summary, first),
    )


def _is_plain(described: Mapping[str, Any]) -> bool:
    return "class" in described and described["class"] == described.get("base_class")


def written_date(text: str) -> str:
    """Return a date in words.

    Example:
        >>> written_date("2026-11-03")
        '3 November 2026'
    """
    day = date.fromisoformat(text)
    return f"{day.day} {day:%B} {day.year}"


def written_size(parameters: int) -> str:
    """Return a number of parameters in words.

    Example:
        >>> [written_size(n) for n in (260_032, 134_515_008, 7_241_732_096)]
        ['0.3 million parameters', '135 million parameters', '7.2 billion parameters']
    """
    size, unit = (parameters / 1e9, "billion") if parameters >= 1e9 else (parameters / 1e6, "million")
    return f"{size:.0f} {unit} parameters" if size >= 10 else f"{max(size, 0.1):.1f} {unit} parameters"


def _asked(summary: Mapping[str, Any], first: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    settings, about = summary.get("settings") or {}, summary.get("about") or {}
    dates = [written_date(day) for day in (summary.get("measured") or {}).get("dates") or ()]
    when = f"On {dates[0]}" if len(dates) == 1 else f"From {dates[0]} to {dates[-1]}" if dates else ""
    prompts, samples = settings.get("prompts"), settings.get("samples_per_prompt")
    if not prompts or not samples:
        return ""
    who = listed(demographics(first)) or "the demographics"
    what = named_model((about.get("models") or {}).get(first["model"])) or first["model"]
    times = "once" if samples == 1 else f"{number(samples)} times"
    methods = f", and so were its versions by {listed([model['model'] for model in others])}" if others else ""
    count = sum(int(model.get("samples") or 0) for model in summary["models"])
    each = "a prompt" if len(prompts) == 1 else f"each of {number(len(prompts))} prompts"
    start = f"{when}, {what}" if when else what
    how = _in_chat(settings.get("chat"))
    said = f"{start} was asked{how} {each} about {who} {times}{methods}: {number(count)} texts."
    return " ".join([said, *_units(about), *_judges(about)])


def _units(about: Mapping[str, Any]) -> list[str]:
    """Return a sentence on words of several tokens, if some model moves them."""
    moved = {name: model["units"] for name, model in (about.get("models") or {}).items() if model.get("units")}
    if not moved:
        return []
    sets = list(dict.fromkeys(one for each in moved.values() for one in each))
    shown = [*sets[:_NAMED], *([f"{number(len(sets) - _NAMED)} more"] if len(sets) > _NAMED else [])]
    verb = "moves" if len(moved) == 1 else "move"
    return [
        f"{listed([*moved])} {verb} words of several tokens as one ({listed(shown)}), and in the figures they are "
        "exchanged for all models."
    ]


def _in_chat(chat: Mapping[str, Any] | None) -> str:
    """Return how prompts were asked: as texts to continue, or in a chat, with system messages if there are any."""
    if chat is None:
        return " to continue"
    system = [_short(text) for text in chat.get("system") or ()]
    under = f" with the system message {listed([f'“{text}”' for text in system])}" if system else ""
    return f" in a chat{under} to answer"


def _judges(about: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each classifier, with everything that it labels."""
    judges: dict[str, list[str]] = {}
    toys = set()
    for title, scorer in (about.get("scorers") or {}).items():
        judges.setdefault(named_model(scorer), []).append(title)
        toys |= {named_model(scorer)} if scorer.get("toy") else set()
    return [
        f"The classifier {name} labelled them for {listed(titles)}.{f' {TOY}' if name in toys else ''}"
        for name, titles in judges.items()
    ]


def named_model(entry: Mapping[str, Any] | None) -> str:
    """Return the name of a model, with its size and revision if they are known; nothing for no model.

    Args:
        entry: The entry of the model in `about` of an audit's summary.

    Example:
        >>> named_model({"source": "me/photos", "revision": None, "parameters": 3_504_872})
        'me/photos (3.5 million parameters)'
    """
    if not entry or not entry.get("source"):
        return ""
    size = written_size(entry["parameters"]) if entry.get("parameters") else ""
    revision = f"revision {entry['revision'][:7]}" if entry.get("revision") else ""
    known = ", ".join(filter(None, (size, revision)))
    return f"{entry['source']} ({known})" if known else str(entry["source"])


def _differs(model: Mapping[str, Any], level: float, as_it_is: bool) -> str:
    verdict, gap, same = judge(model, level), figure(model, "group_gap"), figure(model, "consistency")
    headline = verdict.headline[:1].lower() + verdict.headline[1:]
    name = f"As it is, {model['model']}" if as_it_is else str(model["model"])
    start = f"{name} {headline}" if headline.startswith("treats") else f"{name}: {headline}"
    measured = []
    if gap is not None:
        by = f", by up to {number(gap)} nats a token" if gap > EXACT else ""
        measured.append(f"exchanging the words {'changes' if by else 'does not change'} how likely its texts are{by}")
    if same is not None:
        said = "all of its coupled texts are the same"
        measured.append(said if same == 1 else f"{per_cent(1 - same):g} % of its coupled texts are different")
    if len(demographics(model)) == 1 or not measured:
        said = f"{start}."
    else:
        said = f"{start}: {', and '.join(measured)}. That is measured on the model itself."
    return " ".join([said, *_chance(model, level)])


def _chance(model: Mapping[str, Any], level: float) -> list[str]:
    """Say for each scorer if labels differ more than by chance, with the words hidden if that is known."""
    said, scorers = [], prefixes(model)
    for prefix in scorers:
        hidden = figure(model, f"{prefix}{MASKED}parity_gap_p_value")
        way = "" if hidden is None else MASKED
        p, gap = (figure(model, f"{prefix}{way}{key}") for key in ("parity_gap_p_value", "parity_gap"))
        if p is None:
            continue
        clear = p < round(level / len(scorers), 12)
        title = prefix[:-1] or ("regard" if len(scorers) > 1 else "")
        start = ", ".join(
            filter(None, (f"by {title}" if title else "", "with the words hidden" if way else "", "the labels"))
        )
        more = "more" if clear else "no more"
        figures = f"parity gap {number(gap)}, p = {number(p)}"
        said.append(f"{start[0].upper()}{start[1:]} differ {more} than chance would explain ({figures}).")
    return said


def _mends(
    summary: Mapping[str, Any], first: Mapping[str, Any], others: Sequence[Mapping[str, Any]], level: float
) -> str:
    if not others:
        return ""
    grades = {model["model"]: judge(model, level).grade for model in others}
    good = [model for model in others if grades[model["model"]] in _GOOD]
    own = judge(first, level).grade
    if own is not Grade.DIFFERENT:
        unclear = "These texts do not show whether there is anything to correct."
        return "There is nothing to correct." if own in _GOOD else unclear
    if not good:
        found = listed([f"{name} ({grade})" for name, grade in grades.items()])
        return f"No method is shown to remove the difference: {found}."
    costs = {model["model"]: _cost(summary, model["model"]) for model in good}
    best = min(good, key=lambda model: costs[model["model"]])
    names = [model["model"] for model in good]
    mend = f"{listed(names)} {'remove' if len(names) > 1 else 'removes'} the difference."
    price = _price(summary, first, best)
    who = f"Of these, {best['model']} costs least" if len(good) > 1 else "The cost"
    return f"{mend} {who}: {price}." if price else mend


def _cost(summary: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Return the key that orders methods by cost: rows of the model per text, then seconds per text."""
    about = ((summary.get("about") or {}).get("models") or {}).get(name) or {}
    seconds = ((summary.get("measured") or {}).get("seconds_per_text") or {}).get(name)
    return about.get("rows") or math.inf, math.inf if seconds is None else seconds


def _price(summary: Mapping[str, Any], first: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    rows, seconds = _cost(summary, best["model"])
    usual = _cost(summary, first["model"])[1]
    parts = []
    if math.isfinite(rows):
        many = f"up to {rows:g} runs of the model per text"
        parts.append("one run of the model per text, as without it" if rows == 1 else many)
        if (((summary.get("about") or {}).get("models") or {}).get(best["model"]) or {}).get("scores"):
            parts[-1] += ", and the classifier"
    if math.isfinite(seconds) and math.isfinite(usual):
        parts.append(f"as measured in this audit, {number(seconds)} s per text instead of {number(usual)} s")
    perplexities = [figure(model, "perplexity") for model in (best, first)]
    if None not in perplexities:
        parts.append(f"perplexity {number(perplexities[0])} instead of {number(perplexities[1])}")
    return "; ".join(parts)


def _prompts(summary: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    key, found = ranked_templates(summary.get("templates") or (), first["model"])
    if len(found) < 2:
        return ""
    worst = [entry for entry in found[:_PROMPTS] if entry[key] > 0]
    said = [f"“{_short(entry['template'])}” ({_UNITS[key].format(_figure(key, entry[key]))})" for entry in worst]
    return f"The prompts that differ most: {listed(said)}."


def _short(template: str) -> str:
    """Return a prompt in one line; of a long prompt, such as a chat, its start and its end."""
    text = " ".join(template.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2].rstrip()} … {text[-_LONGEST // 2 :].lstrip()}"


def _figure(key: str, value: float) -> str:
    return f"{per_cent(value):g} %" if key == "inconsistency" else number(value)
