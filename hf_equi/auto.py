"""One call that makes a model equivariant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.utils import CONFIG_NAME

from hf_equi.bases.embedded import embedded_folder
from hf_equi.bases.loading import load_to_train, without_question
from hf_equi.bases.reading import AGAIN, reading
from hf_equi.bases.weight_files import ADAPTER_NAME
from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.groups import FiniteGroup
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.hub.staging import require_config
from hf_equi.models.peft.bases import bare_base
from hf_equi.models.task import Request, Task
from hf_equi.registration import task_names, tasks

__all__ = ["DEMO", "find_tasks", "refuse_adapter", "symmetrize"]

DEMO = "demo"
"""The name of the embedded demo model."""


def symmetrize(
    model: str | Path | PreTrainedModel,
    group: FiniteGroup,
    method: str = "equitune",
    *,
    task: str | None = None,
    tokenizer: Any = None,
    processor: Any = None,
    orbit_chunk_size: int | None = None,
    **settings: Any,
) -> Any:
    r"""Make a pretrained model equivariant to a group, without retraining: `M_G(gx) = g M_G(x)` for all g.

    Args:
        model: A model object, a name on the Hub, a folder, or `"demo"` for the embedded demo model.
        group: The group. A `DemographicGroup` acts on models of text, on both sides of sequence-to-sequence ones, an
            `ImageGroup`, or `SO2` and `O2` with `"canonical"`, on image models, an `EnvironmentGroup` on Q-networks.
        method: How an orbit becomes one output. `"identity"` is the base, for comparison.
            `hf_equi.registration.method_names(task)` lists those of a task, as does the error for an unknown one.
        task: The task, by default found from the model. `hf_equi.registration.task_names()` lists all tasks.
        tokenizer: For text: the model's tokenizer, if `model` is an object.
        processor: For images: the image processor to save with the model, by default the one beside the weights.
        orbit_chunk_size: How many members of each orbit go through the base at once, by default all.
        **settings: Settings of the method, which the configs document (`EquiLMConfig`, `EquizeroLMConfig`,
            `EquiSeq2SeqConfig`, `EquiVisionConfig`, `EquiDenseConfig`, `EquiSamConfig`, `EquiQNetworkConfig`), and
            arguments of `from_pretrained`: dtype, device_map, revision and so on. `None` stands for the default.

            - text: `average`, `multi_token`; causal: `action`, `beam_length`, and `scorer`, which `"equizero"`
              minimises: a `RegardScorer`, by default that of `sasha/regardv3`, or any callable from texts to losses;
            - seq2seq: `target_tokenizer`, if the output has a different tokenizer, `decoding`,
              `teacher_forcing_ratio`;
            - all but causal: `lambda_units`, `lambda_dropout`; seq2seq, images: `loss` of `"equizero"`, `objective`;
            - images: `level`, `padding`, `lambda_features`; `canonicalizer` (see `hf_equi.canonicalization`), `theta`,
              `task_weight`, `prior_weight`, `temperature`, `relaxation` for methods with one; CLIP: `selection`;
              dense: `predicts`, `confidence`, `flip_pairs`.

    Returns:
        A model, such as an `EquiLM`, with its tokenizer or processor. An object passed as `model` is not copied.

    Raises:
        ActionError: For words that cannot move in the vocabulary of the tokenizer.
        ConfigurationError: For an unknown method, task or setting, a missing tokenizer, a model that is already
            symmetrised, a folder with an adapter alone, or a checkpoint without safetensors. All checks but the last
            run before weights are loaded.
        OSError: If no model has that name, as in transformers.
        UnsupportedModelError: For a model family that cannot be wrapped.

    Example:
        >>> from hf_equi import DemographicGroup
        >>> lm = symmetrize("demo", DemographicGroup([["man", "woman"], ["he", "she"]]))
        >>> prompts = lm.tokenizer(["The man worked as", "The woman worked as"], return_tensors="pt")
        >>> man, woman = lm(**prompts).logits
        >>> bool((lm.action.apply(1, man) - woman).abs().max() < 1e-5)
        True
    """
    settings |= {"tokenizer": tokenizer, "processor": processor, "orbit_chunk_size": orbit_chunk_size}
    known = frozenset().union(*(one.settings for one in tasks().values())) | {"tokenizer", "processor"}
    given = {name: value for name, value in settings.items() if name in known and value is not None}
    hub = {name: value for name, value in settings.items() if name not in known}
    return _symmetrize(model, group, method, task, given, hub)


def _symmetrize(
    model: str | Path | PreTrainedModel,
    group: FiniteGroup,
    method: str,
    task_name: str | None,
    given: dict[str, Any],
    kwargs: dict[str, Any],
) -> Any:
    check_choice("task", task_name, (*task_names(), None))
    given_model, model = model, bare_base(model)
    name = None if isinstance(model, PreTrainedModel) else _resolve_name(model)
    base_config = _read_config(model, kwargs)
    task = tasks()[task_name] if task_name is not None else _find_task(model, base_config)
    task.check_group(group)
    task.check_settings(given)
    task.check_loading(kwargs, base_config)
    if name is None and kwargs:
        raise ConfigurationError(f"{', '.join(sorted(kwargs))}: only used when a model is loaded by name")
    if isinstance(model, PreTrainedModel):
        task.check_model(model)
    else:
        task.check_config(base_config)
    companion = task.prepare(name, given, _shared(kwargs))
    request = Request(base_config, group, method, companion, given, *((None, model) if name is None else (kwargs,)))
    config = task.make_config(request)
    base: Any = model
    whole = False
    if name is not None:
        base, whole = load_to_train(task.model_class.auto_class_of(config), name, **kwargs)
    wrapped = task.wrap(config, base, request)
    if given_model is not model:
        wrapped.hold_peft_base(given_model)
    wrapped.train(base.training)
    if whole and config.base_revision is not None:  # only such a base can be stored by its name
        wrapped.remember_base()
    return wrapped


def find_tasks(config: PreTrainedConfig) -> list[Task]:
    """Return the tasks that a model serves, judged by its config: usually one or none.

    Args:
        config: The config of a base, or of a symmetrised model.
    """
    every: list[Task] = list(tasks().values())
    if isinstance(config, EquiConfig):
        return [task for task in every if isinstance(config, task.model_class.config_class)]
    known = [task for task in every if task.knows(config)]
    return [task for task in known if task.names_architecture(config)] or known


def refuse_adapter(folder: Path) -> None:
    """Refuse a folder that peft wrote and that holds an adapter without its base model.

    Args:
        folder: The folder; a path that does not exist passes, because it may be a name on the Hub.

    Raises:
        ConfigurationError: If the folder holds only an adapter.
    """
    if (folder / ADAPTER_NAME).is_file() and not (folder / CONFIG_NAME).is_file():
        raise ConfigurationError(
            f"The folder {folder} holds a peft adapter without its base. Load both and pass the model: "
            f"symmetrize(PeftModel.from_pretrained(base, {str(folder)!r}), group)"
        )


def _resolve_name(model: Any) -> str:
    """Return a folder or a name on the Hub; `"demo"` stands for the folder of the embedded model."""
    if str(model) == DEMO:
        return str(embedded_folder("demo_lm"))
    return str(model)


def _shared(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that also apply to configs and tokenizers."""
    names = ("revision", "trust_remote_code", "token", "cache_dir", "subfolder")
    return without_question({key: kwargs[key] for key in names if key in kwargs})


def _read_config(model: Any, kwargs: dict[str, Any]) -> PreTrainedConfig:
    """Return the config of a base, before any weights are loaded."""
    if isinstance(model, PreTrainedModel):
        if isinstance(model.config, EquiConfig):
            raise ConfigurationError(
                "This model is already symmetrised: unwrap it first, with symmetrize(lm.unwrap(), group)"
            )
        return model.config
    if not isinstance(model, (str, Path)):
        raise ConfigurationError(
            f"A {type(model).__name__} is not a transformers PreTrainedModel, a folder or a name on the Hub"
        )
    name = _resolve_name(model)
    if Path(name).is_dir():
        folder = Path(name, kwargs.get("subfolder") or "")
        refuse_adapter(folder)
        require_config(folder)
    with reading(f"The config of {name}", AGAIN):
        config: PreTrainedConfig = AutoConfig.from_pretrained(name, **_shared(kwargs))
    if isinstance(config, EquiConfig):
        raise ConfigurationError(
            f"{name} is already symmetrised ({config.model_type!r}): load it with from_pretrained of its class, then "
            "call symmetrize(model.unwrap(), group), with tokenizer=model.tokenizer if it has one"
        )
    return config


def _find_task(model: Any, config: PreTrainedConfig) -> Task:
    """Return the one task that a model serves."""
    if isinstance(model, PreTrainedModel):
        owners: list[Task] = [task for task in tasks().values() if task.owns(model)]
        if not owners:
            *others, last = (f"{task.auto_class.__name__} (a {task.what})" for task in tasks().values())
            raise UnsupportedModelError(
                f"{type(model).__name__} does not serve any of the known tasks: load a model with "
                f"{', '.join(others)} or {last}"
            )
        return owners[0]
    known = find_tasks(config)
    if not known:
        raise UnsupportedModelError(
            f"A {config.model_type!r} model does not serve any of the known tasks: "
            f"{', '.join(map(repr, task_names()))}."
        )
    if len(known) > 1:
        names = " or ".join(f"task={task.name!r}" for task in known)
        raise ConfigurationError(f"A {config.model_type!r} model serves several tasks: choose one, {names}")
    return known[0]
