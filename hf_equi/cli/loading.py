"""Tokenizers and models as named on the command line."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig
from transformers.utils import CONFIG_NAME, logging

from hf_equi.auto import DEMO, find_tasks, refuse_adapter, symmetrize
from hf_equi.bases.embedded import embedded_folder
from hf_equi.bases.offloading import input_device
from hf_equi.bases.reading import own_code
from hf_equi.checks import nearest
from hf_equi.cli.arguments import expanded
from hf_equi.cli.display import note
from hf_equi.cli.methods import How, check_trained, is_kept, plain_method, units_of
from hf_equi.cli.options import Loading, Origin
from hf_equi.cli.placement import from_hub, read_placement
from hf_equi.cli.tasks import check_task
from hf_equi.errors import (
    ActionError,
    ConfigurationError,
    HfEquiError,
    HfEquiWarning,
    UnsupportedModelError,
    UntrainedWarning,
)
from hf_equi.generation.classifiers import ClassifierScorer
from hf_equi.generation.scorers import LabelScorer, RegardScorer, stored_scorer
from hf_equi.groups import DemographicGroup
from hf_equi.models.causal_lm import EquiLM, EquiLMConfig, EquizeroLM, EquizeroLMConfig
from hf_equi.models.causal_lm.methods import combines
from hf_equi.models.hub.staging import require_config
from hf_equi.models.text.checkpoints import check_side

__all__ = [
    "DEFAULT_GROUP",
    "load_description",
    "load_lm",
    "load_tokenizer",
    "loading",
    "locate",
    "move",
    "only_trained",
    "quiet",
    "read_scorer",
]

DEFAULT_GROUP = "gender"
_LONGEST = 480  # letters of a note
_COMPOSING = ("audit", "demo", "generate")  # commands with the option --multi-token that run a model
NAMES = "Pass a model's folder, its name on the Hub, or demo."


@contextmanager
def quiet(notes: bool = True) -> Iterator[None]:
    """Silence the advice that transformers gives to programmers.

    Args:
        notes: Whether to write this library's own warnings to stderr, each once, if all goes well.
    """
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
    own = [one for one in caught if notes and issubclass(one.category, HfEquiWarning)]
    for message in dict.fromkeys(map(_cut, own)):
        note(message)


def _cut(warning: warnings.WarningMessage) -> str:
    """Leave out the middle of a long warning: its advice stands at the end."""
    text, half = " ".join(str(warning.message).split()), _LONGEST // 2
    if len(text) <= _LONGEST:
        return text
    return f"{text[:half].rpartition(' ')[0]} ... {text[-half:].partition(' ')[2]}"


@contextmanager
def only_trained() -> Iterator[None]:
    """Refuse a checkpoint without all weights inside the block, for commands that run a model and do not train it.

    Raises:
        UnsupportedModelError: If weights would start at random.
    """
    try:
        with warnings.catch_warnings(action="error", category=UntrainedWarning):
            yield
    except UntrainedWarning as warning:
        raise UnsupportedModelError(str(warning)) from None


def load_description(
    model: str, command: str = "inspect", origin: Origin | None = None
) -> tuple[PreTrainedConfig, Any]:
    """Load the config and the tokenizer of a model, without its weights.

    Args:
        model: A folder, a name on the Hub, or `"demo"`.
        command: The command that needs them.
        origin: Which version of the model to load, as on the command line.

    Raises:
        ConfigurationError: If the model does not exist or lacks a tokenizer; if the tokenizer of a symmetrised model
            does not match its stored permutation.
        UnsupportedModelError: If the command does not read such a model.
    """
    name = locate(model)
    hub = from_hub(model, origin or Origin())
    with loading(model):
        config = AutoConfig.from_pretrained(name, **hub)
    check_task(command, model, config)
    tokenizer = load_tokenizer(model, name, hub)
    if isinstance(config, EquiLMConfig) and config.has_group:
        check_side(config, tokenizer, model)
    return config, tokenizer


def load_tokenizer(model: str, name: str, hub: dict[str, Any]) -> Any:
    """Load a tokenizer.

    Args:
        model: As on the command line.
        name: The folder or Hub name, from `locate`.
        hub: The arguments from `from_hub`.

    Raises:
        ConfigurationError: If there is no tokenizer.
    """
    advice = f"Save that of its base there: tokenizer.save_pretrained({model!r})." if Path(name).is_dir() else ""
    with loading(model, kind="tokenizer of", advice=advice):
        tokenizer = AutoTokenizer.from_pretrained(name, **hub)
        if len(tokenizer) == len(tokenizer.added_tokens_decoder):  # transformers makes this if there is no file
            raise ConfigurationError(f"{model} has no tokenizer. {advice or NAMES}")
    return tokenizer


def load_lm(
    model: str,
    group: DemographicGroup | None,
    how: tuple[str | None, ...] = How(),
    *,
    command: str = "generate",
    needs_tokens: bool = True,
    scorer: str | ClassifierScorer | None = None,
    check: Callable[[PreTrainedConfig, str], None] = lambda config, method: None,
    options: Loading | None = None,
) -> EquiLM:
    """Load a model as an EquiLM, with its base at `.base`, and the scorer that it minimises on the same device.

    Args:
        model: A folder, a name on the Hub, or `"demo"`.
        group: The group; by default gender, or its own for a saved EquiLM.
        how: The method, by default `"equitune"`; what it averages, by default `"logits"`; what happens to words of
            several tokens. A saved model has its own of each.
        command: The command that needs the model.
        needs_tokens: Whether at least one word of the group must be one token.
        scorer: What the method `"equizero"` minimises: a classifier, its folder or name on the Hub, or `"demo"`; by
            default the saved model's own, or `"demo"`. If one is given, the saved model's own is not loaded.
        check: A further check of the model's config and the method, before any weights are loaded.
        options: How to load the model, as on the command line.

    Raises:
        ActionError: If `needs_tokens` is set and no word of the group is one token, so that nothing would move.
        ConfigurationError: If there is no such model; for an unknown method or average.
        UnsupportedModelError: For a model that cannot be wrapped or that the command does not read.
    """
    name, options, how = locate(model), options or Loading(), How(*how)
    method, average, _ = how
    hub, (device, placed) = from_hub(model, options), read_placement(options)
    with loading(model), only_trained():
        config = AutoConfig.from_pretrained(name, **hub)
        check_task(command, model, config)
        saved = isinstance(config, EquiLMConfig)
        check(config, used := method or (config.method if saved else "equitune"))
        check_trained("causal_lm", used, saved and is_kept(config, group, how))
        if isinstance(config, EquiLMConfig):
            lm = _load_equi_lm(config, name, (group, how), scorer, hub | placed)
        else:
            lm = symmetrize(
                name,
                group or DemographicGroup.preset(DEFAULT_GROUP),
                method or "equitune",
                task="causal_lm" if find_tasks(config) else None,  # one of several; no task is another error
                tokenizer=load_tokenizer(model, name, hub),
                average=average or "logits",
                **units_of(method or "equitune", how.multi_token),
                scorer=_given(scorer or DEMO) if _searches(method) else None,
                **hub,
                **placed,
            )
        move(lm, device)
    if needs_tokens and not len(lm.action.moved):
        _refuse_to_move_nothing(lm, model, command)
    return lm


def _refuse_to_move_nothing(lm: EquiLM, model: str, command: str) -> None:
    composes = command in _COMPOSING and combines(lm.method) and lm.config.multi_token != "compose"
    ways = "Pass --multi-token compose, or choose" if composes else "Choose"
    raise ActionError(
        f"No word of the group is one token in the vocabulary of {model}, so nothing would move. {ways} other words "
        "or another model; hf-equi inspect shows how words are split."
    )


def move(lm: Any, device: torch.device | None) -> None:
    """Put a symmetrised model on a device, unless it is spread over several, and its scorer with it.

    Args:
        lm: The model.
        device: The device; `None` for a spread model.
    """
    if device is not None:
        lm.to(device)
    if isinstance(found := getattr(lm, "scorer", None), ClassifierScorer):
        found.model.to(input_device(lm.base))  # type: ignore[arg-type]


def read_scorer(name: str) -> ClassifierScorer:
    """Load a classifier of regard, or another one with the label to minimise.

    Args:
        name: A folder, a name on the Hub, or `"demo"`, with the label behind a colon.

    Raises:
        ConfigurationError: If there is no such classifier, if it lacks the label, or if no label is named and its
            labels are not those of regard.
    """
    name, label = _split_label(str(expanded(name)) if name.startswith("~") else name)
    with loading(name, kind="scorer", advice="Pass a classifier's folder, its name on the Hub, or demo."):
        if Path(name).is_dir():
            require_config(Path(name))
        return RegardScorer(name) if label is None else LabelScorer(name, label)


def _split_label(text: str) -> tuple[str, str | None]:
    """Return the name and the label of `NAME:LABEL`. Both may hold colons, the name only if it is a folder."""
    places = [place for place, letter in enumerate(text) if letter == ":"]
    if not places or Path(text).is_dir():
        return text, None
    place = next((place for place in reversed(places) if Path(text[:place]).is_dir()), places[0])
    if not text[place + 1 :]:
        raise ConfigurationError(
            f"The scorer {text!r} names no label: write one after the colon, or leave out the colon."
        )
    return text[:place], text[place + 1 :]


def _given(scorer: str | ClassifierScorer) -> ClassifierScorer:
    return read_scorer(scorer) if isinstance(scorer, str) else scorer


def _load_equi_lm(
    config: EquiLMConfig,
    name: str,
    wanted: tuple[DemographicGroup | None, How],
    scorer: str | ClassifierScorer | None,
    arguments: dict[str, Any],
) -> EquiLM:
    """Load a saved model; if another group or another setting is wanted, make it anew from its base."""
    group, (given, average, multi_token) = wanted
    method = given or config.method
    method_of = plain_method("causal_lm", method)
    how: dict[str, Any] = {"action": config.action} if method_of.maps_texts_back else {}
    if method_of.searches:
        how |= config.search_settings or {}
        how["scorer"] = _own_scorer(config) if scorer is None else _given(scorer)
    if isinstance(config, EquizeroLMConfig):
        lm: EquiLM = EquizeroLM.from_pretrained(name, scorer=how.get("scorer"), **arguments)
    else:
        lm = EquiLM.from_pretrained(name, **arguments)
    if is_kept(config, *wanted):
        return lm
    changed: EquiLM = symmetrize(
        lm.unwrap(),
        group or lm.group,
        method,
        tokenizer=lm.tokenizer,
        average=average or lm.config.average,
        **units_of(method, multi_token, config),
        **how,
    )
    return changed


def _searches(method: str | None) -> bool:
    """Whether a method needs a scorer."""
    return method is not None and plain_method("causal_lm", method).searches


def _own_scorer(config: EquiLMConfig) -> ClassifierScorer:
    """Return the scorer that was saved with a model, or the embedded one if there is none."""
    if not isinstance(config, EquizeroLMConfig):
        return read_scorer(DEMO)
    if config.scorer_settings is None:
        raise ConfigurationError("This EquizeroLM was saved without its scorer: pass one with --scorer.")
    name = str(config.scorer_settings.get("name"))
    with loading(name, kind="stored scorer", advice="Name another with --scorer."):
        return stored_scorer(config.scorer_settings)


def locate(model: str) -> str:
    """Return the folder, or the name to look for on the Hub.

    Raises:
        ConfigurationError: If it can be neither.
    """
    path = embedded_folder("demo_lm") if model == DEMO else expanded(model)
    if path.is_dir() and model.strip():
        refuse_adapter(path)
        require_config(path)
        return str(path)
    if model == DEMO:
        raise ConfigurationError(
            f"The embedded model is not installed: {path} is missing. Reinstall hf_equi, or pass --model."
        )
    if path.is_file():
        raise ConfigurationError(f"{model} is a file: pass the folder that holds config.json and the weights.")
    if not model.strip() or path.is_absolute() or model[0] in ".~" or model.count("/") > 1 or model.endswith("/"):
        raise ConfigurationError(
            f"The folder {model!r} does not exist: pass a model's folder, its name on the Hub, or demo."
        )
    beside = [str(one.parent) for one in path.parent.glob(f"*/{CONFIG_NAME}")]
    if meant := nearest(str(path), beside):
        raise ConfigurationError(f"The folder {model!r} does not exist. Did you mean {meant!r}?")
    return model


@contextmanager
def loading(name: str, done: str = "loaded", *, kind: str = "model", advice: str = "") -> Iterator[None]:
    """Turn any failure inside the block into an error of the argument `name`, which is its cause.

    Args:
        name: As on the command line.
        done: What is being done, as in "loaded".
        kind: What `name` names, as in "model".
        advice: What to do about it.
    """
    try:
        yield
    except HfEquiError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if "trust_remote_code" in reason:
            raise ConfigurationError(own_code(f"The {kind} {name!r}")) from error
        if not isinstance(error, OSError | ValueError):
            reason = f"{type(error).__name__}: {reason}"
        reason = textwrap.shorten(reason, 300, placeholder=" ...").rstrip(".")
        raise ConfigurationError(f"The {kind} {name!r} could not be {done}: {reason}. {advice or NAMES}") from error
