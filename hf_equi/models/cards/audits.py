"""Read the figures of an audit for a card, from the folder that `hf-equi audit` wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import EvalResult

from hf_equi.bases.weights_fingerprint import weights_fingerprint
from hf_equi.errors import ConfigurationError
from hf_equi.figures import FIGURES, MAIN, MISSING, plain_number
from hf_equi.groups import DemographicGroup, read_group
from hf_equi.models.cards.markdown import plain

__all__ = ["LOOKING", "Evaluation", "read_evaluation", "scorer_class", "telling_settings"]

SUMMARY = "summary.json"
_PARTS = {"models", "settings", "confidence"}
_MODEL = {"name": str, "class": str, "base_class": str, "dtype": str, "weights": str}
_SHAPE = {
    "models": [{"model": str}],
    "settings": {
        "prompts": [str],
        "demographics": [str],
        "samples_per_prompt": int,
        "seed": int,
        "decoding": dict,
        "scorer": dict,
        "group": dict,
        "models": [_MODEL],
    },
    "confidence": float,
}
"""The parts of a summary that a card reads, besides the figures: a type, a list of one kind of item, or keys."""
TITLES = {key: FIGURES[key].card for key in MAIN if FIGURES[key].card}
"""The titles of the figures that a card has."""
LOOKING = ("look_ahead", "unlooked_share")
"""The settings that have an effect only if words of several tokens move as units."""
_SETTINGS = ("method", "average", "beam_length", "action")
_UNITS = ("multi_token", *LOOKING)
"""The settings by which an audit tells models apart, by their names in configs. The second are written only for models
that move words of several tokens as units, because earlier audits lack them."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of one model of an audit, and of the base for comparison.

    Args:
        figures: The figures of the model, as the audit wrote them.
        base_figures: The figures of the base, or `None` if it was not audited.
        settings: The settings of the audit.
        confidence: The confidence of the intervals.
    """

    figures: Mapping[str, Any]
    base_figures: Mapping[str, Any] | None
    settings: Mapping[str, Any]
    confidence: float

    @property
    def dataset_name(self) -> str:
        """The prompts and demographics in words."""
        prompts, demographics = len(self.settings["prompts"]), len(self.settings["demographics"])
        plural = "" if prompts == 1 else "s"
        return f"{prompts} prompt{plural} about {demographics} demographics"

    def results(self) -> list[EvalResult]:
        """Return the figures in the form that the head of a card takes."""
        asked = {name: self.settings[name] for name in ("samples_per_prompt", "seed", "decoding", "prompts")}
        return [
            EvalResult(
                task_type="text-generation",
                task_name="Text generation",
                dataset_type="hf_equi-audit",
                dataset_name=self.dataset_name,
                dataset_args={**asked, "scorer": _scorer(self.settings)},
                metric_type=key,
                metric_name=title,
                metric_value=self.figures[key],
            )
            for key, title in TITLES.items()
            if self.figures.get(key) is not None
        ]

    def rows(self) -> list[tuple[str, str, str]]:
        """Return rows of a title, the base's figure and the model's, with intervals. The verdict comes first."""
        verdicts = [("Verdict", _verdict(self.base_figures), _verdict(self.figures))]
        return [row for row in verdicts if row[2] != MISSING] + [
            (title, _cell(self.base_figures, key), _cell(self.figures, key))
            for key, title in TITLES.items()
            if self.figures.get(key) is not None
        ]


def read_evaluation(audit: str | Path | Mapping[str, Any], model: Any) -> Evaluation:
    """Return the figures of a model in an audit.

    The model is found by its class, its method, its group and the weights of its base, not by its name in the audit.

    Args:
        audit: The folder of the audit, or its summary.
        model: The wrapped model.

    Raises:
        ConfigurationError: If there is no finished audit, if the audit has another group or base or lacks the model,
            or if models of this class are not audited.
    """
    where, summary = _read(audit)
    settings, figures = summary["settings"], {entry["model"]: entry for entry in summary["models"]}
    group = getattr(model, "group", None)
    if not isinstance(group, DemographicGroup) or not hasattr(model.config, "token_map"):
        raise ConfigurationError(
            f"An audit is of causal language models. This model is of class {type(model).__name__}: leave audit= out."
        )
    audited = DemographicGroup.from_dict(settings["group"])
    if [factor.sets for factor in audited.factors] != [factor.sets for factor in group.factors]:
        raise ConfigurationError(
            f"{where} has the group {audited!r}, and this model has {group!r}: audit the model with its own group."
        )
    base = _matching(where, settings["models"], model)
    own = [entry for entry in base if _is_model(entry, model) and entry["name"] in figures]
    if not own:
        listed = ", ".join(f"{entry['name']} ({_described(entry)})" for entry in settings["models"])
        raise ConfigurationError(
            f"{where} has no {_described(_own_entry(model))} with this group. It has {listed}. Audit this model too, "
            "with its own settings."
        )
    if any(entry.get("scorer") != own[0].get("scorer") for entry in own):
        listed = ", ".join(entry["name"] for entry in own)
        raise ConfigurationError(
            f"{where} has {listed}, which differ by their scorer alone, and this model does not store which scorer it "
            "has. Audit only one of them."
        )
    plain = [entry["name"] for entry in base if entry["class"] == entry["base_class"] and entry["name"] in figures]
    return Evaluation(
        figures[own[0]["name"]], figures[plain[0]] if plain else None, settings, float(summary["confidence"])
    )


def _read(audit: str | Path | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if isinstance(audit, Mapping):
        if missing := sorted(_PARTS - set(audit)):
            raise ConfigurationError(f"audit= is not a summary of an audit: it lacks {', '.join(missing)}")
        return "The audit", _checked("audit=", audit)
    if not isinstance(audit, str | os.PathLike):
        raise ConfigurationError(
            f"audit={audit!r} is not an audit: pass the folder that hf-equi audit wrote, or its summary"
        )
    path = Path(audit)
    path = path / SUMMARY if path.is_dir() else path
    try:
        summary = json.loads(path.read_bytes())
        complete = isinstance(summary, dict) and set(summary) >= _PARTS
    except (OSError, ValueError, TypeError, RecursionError):
        complete = False
    if not complete:
        raise ConfigurationError(
            f"{audit} holds no finished audit (no {SUMMARY} of one): run hf-equi audit --model ... --out {audit}"
        )
    return f"The audit {audit}", _checked(str(path), summary)


def _checked(where: str, summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the summary if a card's figures can be read from it."""
    fault = _misfit(summary, _SHAPE, "the summary") or next(filter(None, map(_wrong_figure, summary["models"])), "")
    for entry in [] if fault else summary["settings"]["models"]:
        if not isinstance(getattr(torch, entry["dtype"], None), torch.dtype):
            fault = f"{entry['dtype']!r} is not a dtype"
    if fault:
        raise ConfigurationError(
            f"{where} is damaged ({fault}): run hf-equi audit again, which keeps the texts that it drew"
        )
    return summary


def _misfit(value: Any, shape: Any, name: str) -> str:
    """Say where a value has another shape; return an empty string if it fits."""
    kind = shape if isinstance(shape, type) else type(shape)
    if not _is(value, kind):
        return f"{name} is not a {kind.__name__}"
    parts: list[tuple[Any, Any, str]] = []
    if isinstance(shape, list):
        parts = [(item, shape[0], f"an item of {name}") for item in value]
    elif isinstance(shape, dict):
        parts = [(value.get(key), part, f"{key} of {name}") for key, part in shape.items()]
    return next(filter(None, (_misfit(*part) for part in parts)), "")


def _is(value: Any, kind: type) -> bool:
    known: dict[type, Any] = {float: int | float, dict: Mapping}
    return isinstance(value, known.get(kind, kind)) and not isinstance(value, bool)


def _wrong_figure(entry: Mapping[str, Any]) -> str:
    """Say which figure of a model cannot be in a card; return an empty string if all can."""
    for key in TITLES:
        value, interval = entry.get(key), entry.get(f"{key}_interval")
        bounds = interval if isinstance(interval, list | tuple) and len(interval) == 2 else [interval]
        if not (value is None or (_is(value, float) and (interval is None or all(_is(end, float) for end in bounds)))):
            return f"{key} of {entry['model']} is {value!r:.40}, {interval!r:.40}"
    verdict = entry.get("verdict")
    return "" if verdict is None else _misfit(verdict, {"headline": str}, f"the verdict of {entry['model']}")


def _matching(where: str, entries: list[dict[str, Any]], model: Any) -> list[dict[str, Any]]:
    """The audited models around the base of this one."""
    known = {name: weights_fingerprint(model.base, getattr(torch, name)) for name in {one["dtype"] for one in entries}}
    found = [entry for entry in entries if entry["weights"] == known[entry["dtype"]]]
    if not found:
        raise ConfigurationError(
            f"{where} has another base: the weights of its models differ from those of this one. Audit this model: "
            "hf-equi audit --model ..."
        )
    return found


def _is_model(entry: Mapping[str, Any], model: Any) -> bool:
    """Whether an audited model around the same base is this one."""
    own = _own_entry(model)
    same = all(entry.get(name) == own.get(name) for name in ("class", *_SETTINGS, *_UNITS))
    return same and _same_group(entry.get("group"), model.config.group) and _same_scorer(entry, model)


def telling_settings(config: Any) -> dict[str, Any]:
    """Return the settings of a model by which an audit tells it from others.

    Args:
        config: The config of the model.
    """
    units = _UNITS if getattr(config, "multi_token", None) == "compose" else ()
    found = {name: getattr(config, name, None) for name in (*_SETTINGS, *units)}
    return {name: value for name, value in found.items() if value is not None}


def _own_entry(model: Any) -> dict[str, Any]:
    """Describe a model as an audit does, as far as its config allows."""
    settings = telling_settings(model.config)
    scorer = getattr(model.config, "scorer_settings", None)
    if scorer is None and getattr(model, "_scorer", None) is not None:
        scorer = {"label": getattr(model._scorer, "label", None)}  # it has no name
    return {"class": type(model).__name__, **settings, **({} if scorer is None else {"scorer": scorer})}


def _same_scorer(entry: Mapping[str, Any], model: Any) -> bool:
    """Whether both have the same scorer, as far as can be known: a checkpoint stores only a name on the Hub."""
    if _scorer_label(entry) != _scorer_label(_own_entry(model)):
        return False
    audited, stored = _scorer_name(entry), _scorer_name(_own_entry(model))
    if stored is not None:
        return audited == stored
    scorer = getattr(model, "_scorer", None)
    if scorer is None:
        return audited is None or Path(audited).is_absolute()
    described, network = entry.get("scorer") or {}, getattr(scorer, "model", None)
    weights = weights_fingerprint(network) if isinstance(network, torch.nn.Module) else None
    return described.get("class") == scorer_class(scorer) and described.get("weights") == weights


def scorer_class(scorer: Any) -> str:
    """Return the name that an audit gives to a scorer without a name.

    Args:
        scorer: A callable.
    """
    return str(getattr(scorer, "__qualname__", type(scorer).__qualname__))


def _scorer_name(entry: Mapping[str, Any]) -> str | None:
    """Return the name of a classifier. Other losses have none."""
    scorer = entry.get("scorer")
    name = scorer.get("name") if isinstance(scorer, Mapping) else None
    return name if isinstance(name, str) and name else None


def _scorer_label(entry: Mapping[str, Any]) -> str | None:
    """Return the label of the classifier that is minimised. Regard has its own loss, so it has none."""
    scorer = entry.get("scorer")
    return scorer.get("label") if isinstance(scorer, Mapping) else None


def _same_group(audited: Mapping[str, Any] | None, own: Mapping[str, Any]) -> bool:
    """Whether two stored groups are equal. hf_equi 0.1 stored no kind with them."""
    return audited is not None and read_group(audited) == read_group(own)


def _described(entry: Mapping[str, Any]) -> str:
    method = f" by {entry['method']!r}" if "method" in entry else ""
    settings = [f"{name}={entry[name]!r}" for name in (*_SETTINGS[1:], *_UNITS) if entry.get(name) is not None]
    scorer = [f"scorer={_scorer(entry)}"] if "scorer" in entry else []
    return ", ".join([f"{entry['class']}{method}", *settings, *scorer])


def _verdict(figures: Mapping[str, Any] | None) -> str:
    """Return the verdict in words, as the audit wrote it. hf_equi 0.1 wrote none."""
    headline = ((figures or {}).get("verdict") or {}).get("headline")
    return MISSING if headline is None else plain(headline)


def _scorer(entry: Mapping[str, Any]) -> str:
    """Name the scorer. The path of a classifier on the machine of the audit is not shown."""
    name = _scorer_name(entry)
    if name is None:
        return "a callable"
    label = _scorer_label(entry)
    shown = "a custom classifier" if Path(name).is_absolute() else name
    return f"{shown}, label {label!r}" if label else shown


def _cell(figures: Mapping[str, Any] | None, key: str) -> str:
    if figures is None or figures.get(key) is None:
        return MISSING
    interval = figures.get(f"{key}_interval")
    bounds = "" if interval is None else f" ({' to '.join(map(plain_number, interval))})"
    return plain_number(figures[key]) + bounds
