"""From what stands on the command line to groups, tokenizers and models."""

from __future__ import annotations

import json
import operator
import os
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig
from transformers.utils import logging

from hf_equi.auto import DEMO, find_tasks, refuse_adapter, symmetrize
from hf_equi.bases.embedded import embedded_folder
from hf_equi.bases.reading import own_code
from hf_equi.cli.display import note
from hf_equi.cli.tasks import check_task
from hf_equi.errors import ActionError, ConfigurationError, GroupError, GroupWarning, HfEquiError, HfEquiWarning
from hf_equi.generation.scorers import RegardScorer
from hf_equi.groups import DemographicGroup, FiniteGroup, ImageGroup
from hf_equi.groups.demographic import preset_names
from hf_equi.models.causal_lm import EquiLM, EquiLMConfig, EquizeroLM, EquizeroLMConfig
from hf_equi.models.causal_lm.methods import create
from hf_equi.models.hub.staging import require_config
from hf_equi.models.text.checkpoints import check_side

__all__ = [
    "DEFAULT_GROUP",
    "check_texts",
    "expanded",
    "load_description",
    "load_lm",
    "loading",
    "locate",
    "parse_any_group",
    "parse_group",
    "quiet",
    "read_scorer",
]

DEFAULT_GROUP = "gender"
_LONGEST = 400  # letters of a note
_EXAMPLE = 'Write it as {"equality": [["man", "woman"], ["he", "she"]]}, or with to_json() of a group in Python.'
NAMES = "Pass a model's folder, its name on the Hub, or demo."
IMAGE_KINDS = {"rotations": "n", "dihedral": "n", "flips": "axes"}
"""The groups of images by name, and what stands behind the colon."""


@contextmanager
def quiet(notes: bool = True) -> Iterator[None]:
    """Silence the advice that transformers gives to programmers.

    Args:
        notes: Whether to note this library's own warnings on stderr, each once, if all goes well.
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
    """Leave out the middle of what is too long: what there is to do about it stands at the end."""
    text, half = " ".join(str(warning.message).split()), _LONGEST // 2
    if len(text) <= _LONGEST:
        return text
    gap = "... (hf-equi inspect lists all) ..." if issubclass(warning.category, GroupWarning) else "..."
    return f"{text[:half].rpartition(' ')[0]} {gap} {text[-half:].partition(' ')[2]}"


def parse_any_group(text: str) -> FiniteGroup:
    """Read a group of words as `parse_group` does, or one of images: `rotations:4`, `dihedral:4`, `flips:horizontal`.

    Raises:
        GroupError: If it is neither.
    """
    kind, _, value = text.strip().partition(":")
    if kind not in IMAGE_KINDS:
        try:
            return parse_group(text)
        except GroupError as error:
            if kind.strip() in preset_names():
                raise
            kinds = "rotations:4, dihedral:4, flips:horizontal"
            raise GroupError(f"{str(error).rstrip('.')}. Groups of images are {kinds} and the like.") from error
    parameter = IMAGE_KINDS[kind]
    if not value:
        raise GroupError(
            f"The group {kind} needs {parameter} behind a colon: {kind}:{'4' if parameter == 'n' else 'both'}."
        )
    return ImageGroup.from_dict({"type": "image", "kind": kind, parameter: int(value) if value.isdecimal() else value})


def parse_group(text: str) -> DemographicGroup:
    """Read a preset, the path of a JSON file, or a product with `*`.

    A preset may name some of its elements: `race`, or `race:Black,White`.

    Raises:
        GroupError: For an unknown preset, a file that cannot be read, or one that holds no group.
    """
    return reduce(operator.mul, [_read_factor(part.strip()) for part in text.split("*")])


def _read_factor(name: str) -> DemographicGroup:
    if name.partition(":")[0] in IMAGE_KINDS:
        raise GroupError(
            f"The group {name} moves images, and a group of words is needed here: a preset such as gender, or the "
            "path of a group's JSON file."
        )
    if name.endswith(".json") or "/" in name or os.sep in name:
        return _read_file(expanded(name))
    preset, colon, elements = name.partition(":")
    try:
        return DemographicGroup.preset(
            preset.strip(), [each.strip() for each in elements.split(",")] if colon else None
        )
    except GroupError as error:
        if preset.strip() in preset_names():
            raise
        raise GroupError(
            f"{str(error).rstrip('.')}. Or pass the path of a group's JSON file, which ends with .json."
        ) from error


def _read_file(path: Path) -> DemographicGroup:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GroupError(f"The group's file {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise GroupError(f"The group's file {path} is not JSON: {error}.") from error
    if isinstance(content, dict) and "equality" in content:  # a group of one factor, as people write it
        content = {"factors": [content]}
    try:
        return DemographicGroup.from_dict(content)
    except GroupError as error:
        raise GroupError(f"The file {path} holds no group: {textwrap.shorten(str(error), 400)} {_EXAMPLE}") from error


def expanded(path: str | Path) -> Path:
    """A path with its leading `~`, which a shell leaves in `--out=~/audit`, replaced by the home folder.

    Raises:
        ConfigurationError: For a `~` of which nobody knows the folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(
            f"The home folder of {str(path)!r} is not known: write the path out, or ./{path} if ~ is in its name."
        ) from error


def check_texts(option: str, texts: Iterable[str]) -> None:
    """Refuse what a terminal passed on that is not text: bytes in another encoding than UTF-8.

    Args:
        option: The option that has them.
        texts: The texts.

    Raises:
        ConfigurationError: For such bytes.
    """
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ConfigurationError(
                f"{option} {text!r} is not UTF-8 text: there is an invalid byte after {text[: error.start]!r}. Write "
                "it in UTF-8."
            ) from error


def load_description(model: str, command: str = "inspect") -> tuple[PreTrainedConfig, Any]:
    """Load the config and the tokenizer of a model, without its weights.

    Args:
        model: A folder, a name on the Hub, or `"demo"`.
        command: The command that needs them.

    Raises:
        ConfigurationError: If the model does not exist or lacks a tokenizer; if the tokenizer of a symmetrised model
            does not match its stored permutation.
        UnsupportedModelError: If it is not one that the command reads.
    """
    name = locate(model)
    with loading(model):
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    check_task(command, model, config)
    tokenizer = _load_tokenizer(model, name)
    if isinstance(config, EquiLMConfig) and config.has_group:
        check_side(config, tokenizer, model)
    return config, tokenizer


def _load_tokenizer(model: str, name: str) -> Any:
    advice = f"Save the one of its base there: tokenizer.save_pretrained({model!r})." if Path(name).is_dir() else ""
    with loading(model, kind="tokenizer of", advice=advice):
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        if len(tokenizer) == len(tokenizer.added_tokens_decoder):  # what transformers makes where there is no file
            raise ConfigurationError(f"{model} has no tokenizer. {advice or NAMES}")
    return tokenizer


def load_lm(
    model: str,
    group: DemographicGroup | None,
    method: str | None,
    average: str | None,
    *,
    command: str = "generate",
    needs_tokens: bool = True,
    scorer: str | RegardScorer | None = None,
    check: Callable[[PreTrainedConfig, str], None] = lambda config, method: None,
) -> EquiLM:
    """Load a model as an EquiLM in float32, with the base beside it at `.base`.

    Args:
        model: A folder, a name on the Hub, or `"demo"`.
        group: The group; by default gender, and for a model saved as an EquiLM its own.
        method: As in `symmetrize`, by default `"equitune"` or the saved model's own.
        average: As in `symmetrize`, by default `"logits"` or the saved model's own.
        command: The command that needs it.
        needs_tokens: Whether a word of the group has to be one token.
        scorer: What the method `"equizero"` minimises: a classifier, its folder or name on the Hub, or `"demo"`; by
            default the saved model's own, or `"demo"`. With one that is given, the saved model's own is not loaded.
        check: What else has to be checked of the model's config and the method, before any weights are loaded.

    Raises:
        ActionError: If no word of the group is one token, so that nothing would move, and it has to be.
        ConfigurationError: If there is no such model; for an unknown method or average.
        UnsupportedModelError: For a model that cannot be wrapped, or is not one that the command reads.
    """
    name = locate(model)
    with loading(model):
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        check_task(command, model, config)
        check(config, method or (config.method if isinstance(config, EquiLMConfig) else "equitune"))
        if isinstance(config, EquiLMConfig):
            lm = _load_equi_lm(config, name, (group, method, average), scorer)
        else:
            lm = symmetrize(
                name,
                group or parse_group(DEFAULT_GROUP),
                method or "equitune",
                task="causal_lm" if find_tasks(config) else None,  # of several, and none is an error of its own
                tokenizer=_load_tokenizer(model, name),
                average=average or "logits",
                multi_token="skip",
                dtype=torch.float32,
                scorer=_given(scorer or DEMO) if _searches(method) else None,
            )
    if needs_tokens and not len(lm.action.moved):
        raise ActionError(
            f"No word of the group is one token of the tokenizer of {model}, so nothing would move. Choose other "
            "words or another model; hf-equi inspect shows how they are cut."
        )
    return lm


def read_scorer(name: str) -> RegardScorer:
    """Load a classifier of regard.

    Args:
        name: A folder, a name on the Hub, or `"demo"`.

    Raises:
        ConfigurationError: If there is no such classifier, or its labels are not those of regard.
    """
    name = str(expanded(name)) if name.startswith("~") else name
    with loading(name, kind="scorer", advice="Pass a classifier's folder, its name on the Hub, or demo."):
        if Path(name).is_dir():
            require_config(Path(name))
        return RegardScorer(name)


def _given(scorer: str | RegardScorer) -> RegardScorer:
    return read_scorer(scorer) if isinstance(scorer, str) else scorer


def _load_equi_lm(
    config: EquiLMConfig,
    name: str,
    wanted: tuple[DemographicGroup | None, str | None, str | None],
    scorer: str | RegardScorer | None,
) -> EquiLM:
    """A saved model; where another group, method or average is wanted, made anew from its base."""
    group, method, average = wanted
    method = method or config.method
    search = config.search_settings or {}
    if _searches(method):
        search["scorer"] = _own_scorer(config) if scorer is None else _given(scorer)
    if isinstance(config, EquizeroLMConfig):
        lm: EquiLM = EquizeroLM.from_pretrained(name, dtype=torch.float32, scorer=search.get("scorer"))
    else:
        lm = EquiLM.from_pretrained(name, dtype=torch.float32)
    if wanted == (None, None, None):
        return lm
    changed: EquiLM = symmetrize(
        lm.unwrap(),
        group or lm.group,
        method,
        tokenizer=lm.tokenizer,
        average=average or lm.config.average,
        multi_token="skip",
        **(search if _searches(method) else {}),
    )
    return changed


def _searches(method: str | None) -> bool:
    """Whether a method needs a scorer."""
    return method is not None and create(method, "logits").searches


def _own_scorer(config: EquiLMConfig) -> RegardScorer:
    """The scorer that was saved with a model; the embedded one for a model that has none."""
    if not isinstance(config, EquizeroLMConfig):
        return read_scorer(DEMO)
    if config.scorer_settings is None:
        raise ConfigurationError("This EquizeroLM was saved without its scorer: name one with --scorer.")
    name = str(config.scorer_settings.get("name"))
    with loading(name, kind="stored scorer", advice="Name another with --scorer."):
        return RegardScorer.from_settings(config.scorer_settings)


def locate(model: str) -> str:
    """A folder, or a name to look for on the Hub.

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
            f"The embedded model is not installed: {path} is missing. Reinstall hf_equi, or name --model."
        )
    if path.is_file():
        raise ConfigurationError(f"{model} is a file: name the folder that holds config.json and the weights.")
    if not model.strip() or path.is_absolute() or model[0] in ".~" or model.count("/") > 1 or model.endswith("/"):
        raise ConfigurationError(f"There is no folder {model!r}: pass a model's folder, its name on the Hub, or demo.")
    return model


@contextmanager
def loading(name: str, done: str = "loaded", *, kind: str = "model", advice: str = "") -> Iterator[None]:
    """Whatever goes wrong here is due to what `name` names, so it is an error of the arguments.

    Args:
        name: As on the command line.
        done: What is being done to it.
        kind: What it is the name of.
        advice: The way out.
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
