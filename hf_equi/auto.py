"""One call that makes a model equivariant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.generation.loading import load_safetensors
from hf_equi.generation.scorers import Scorer
from hf_equi.groups import FiniteGroup
from hf_equi.models.causal_lm.task import CausalLMTask
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.seq2seq.task import Seq2SeqTask
from hf_equi.models.task import Request, Task

__all__ = ["DEMO", "DEMO_FOLDER", "TASKS", "symmetrize"]

TASKS: dict[str, Task] = {task.name: task for task in (CausalLMTask(), Seq2SeqTask())}
"""The tasks by name."""
DEMO = "demo"
"""The name of the embedded demo model."""
DEMO_FOLDER = Path(__file__).parent / "assets" / "demo_lm"


def symmetrize(  # noqa: PLR0913  all that methods can be told
    model: str | Path | PreTrainedModel,
    group: FiniteGroup,
    method: str = "equitune",
    *,
    task: str | None = None,
    tokenizer: Any = None,
    target_tokenizer: Any = None,
    average: str | None = None,
    multi_token: str | None = None,
    orbit_chunk_size: int | None = None,
    scorer: Scorer | None = None,
    beam_length: int | None = None,
    action: str | None = None,
    loss: str | None = None,
    decoding: str | None = None,
    **from_pretrained_kwargs: Any,
) -> Any:
    r"""Make a pretrained model equivariant to a group, without retraining: `M_G(gx) = g M_G(x)` for all g.

    Args:
        model: A model, or a name on the Hub, a folder, or `"demo"` for the embedded demo model.
        group: The group. A `DemographicGroup` acts on language models, of sequence-to-sequence ones on both sides.
        method: How an orbit becomes one output: `"equitune"`, `"equizero"`, `"lambda"` (seq2seq), `"mixture"`
            (causal), `"canonical"`, or `"identity"` for the base as it is, to compare with.
        task: `"causal_lm"` or `"seq2seq"`; by default found from the model.
        tokenizer: The model's tokenizer, for a `model` that is an object.
        target_tokenizer: Seq2seq: that of what it writes, where it is another.
        average: What equi-tuning averages: `"logits"`, the default, or `"probabilities"`.
        multi_token: For a set of words that has no form of one token: `"error"`, the default, or `"skip"`.
        orbit_chunk_size: Members of each orbit that go through the base at once; by default all.
        scorer: Causal: what `"equizero"` minimises: a `RegardScorer`, by default of `sasha/regardv3`, or any callable
            from a list of texts to a tensor of losses.
        beam_length: Causal: tokens that each member drafts in a round of `"equizero"`; 5 by default.
        action: Causal: what `"equizero"` acts on: `"tokens"`, the default, or `"words"`.
        loss: Seq2seq: what `"equizero"` minimises: `"max_probability"`, the default, or `"entropy"`.
        decoding: Seq2seq: `"synchronised"`, the default, or `"independent"` (see `EquiSeq2SeqConfig`).
        **from_pretrained_kwargs: dtype, device_map, revision, trust_remote_code and what else `from_pretrained` takes;
            seq2seq: `objective`, `teacher_forcing_ratio`, `lambda_units`, `lambda_dropout` (see `EquiSeq2SeqConfig`).

    Returns:
        An `EquiLM`, `EquizeroLM` or `EquiForSeq2SeqLM` with its tokenizer. An object passed as `model` is not copied.

    Raises:
        ActionError: For words that the tokenizer cannot move.
        ConfigurationError: For an unknown method, task or setting, a missing tokenizer, a model that is symmetrised
            already, a checkpoint without safetensors. All checks but the last run before weights are loaded.
        OSError: For a name without a model, as in transformers.
        UnsupportedModelError: For a model family that cannot be wrapped.
    """
    settings = {**locals(), **from_pretrained_kwargs}
    given = {name: value for name, value in settings.items() if name in _SETTINGS and value is not None}
    from_pretrained_kwargs = {name: value for name, value in from_pretrained_kwargs.items() if name not in _SETTINGS}
    return _symmetrize(model, group, method, task, given, from_pretrained_kwargs)


_SETTINGS = frozenset().union(*(task.settings for task in TASKS.values()))


def _symmetrize(
    model: str | Path | PreTrainedModel,
    group: FiniteGroup,
    method: str,
    task_name: str | None,
    given: dict[str, Any],
    kwargs: dict[str, Any],
) -> Any:
    if task_name not in (None, *TASKS):
        raise ConfigurationError(f"task={task_name!r} is not known: use one of {', '.join(map(repr, TASKS))}, or none")
    name = None if isinstance(model, PreTrainedModel) else _resolve_name(model)
    base_config = _read_config(model, kwargs)
    task = TASKS[task_name] if task_name is not None else _find_task(model, base_config)
    task.check_group(group)
    task.check_settings(given)
    if isinstance(model, PreTrainedModel):
        task.check_model(model)
    else:
        task.check_config(base_config)
    companion = task.prepare(name, given, _shared(kwargs))
    request = Request(base_config, group, method, companion, given, None if name is None else kwargs)
    config = task.make_config(request)
    base: Any = model if name is None else load_safetensors(task.auto_class, name, **kwargs)
    wrapped = task.wrap(config, base, request)
    wrapped.train(base.training)
    if base is not model:
        wrapped.remember_base()
    return wrapped


def _resolve_name(model: Any) -> str:
    """A folder or Hub name; `"demo"` is the embedded model."""
    if str(model) == DEMO:
        return str(DEMO_FOLDER)
    return str(model)


def _shared(kwargs: dict[str, Any]) -> dict[str, Any]:
    """What configs and tokenizers are loaded with as well."""
    names = ("revision", "trust_remote_code", "token", "cache_dir", "subfolder")
    return {key: kwargs[key] for key in names if key in kwargs}


def _read_config(model: Any, kwargs: dict[str, Any]) -> PreTrainedConfig:
    """The config of a base, before any weights are loaded."""
    if isinstance(model, PreTrainedModel):
        if isinstance(model.config, EquiConfig):
            raise ConfigurationError(
                "This model is symmetrised already: unwrap it first, symmetrize(lm.unwrap(), group)"
            )
        if kwargs:
            raise ConfigurationError(f"{', '.join(sorted(kwargs))}: only used where a model is loaded by its name")
        return model.config
    if not isinstance(model, (str, Path)):
        raise ConfigurationError(
            f"A {type(model).__name__} is no PreTrainedModel of transformers, no folder and no name on the Hub"
        )
    name = _resolve_name(model)
    config: PreTrainedConfig = AutoConfig.from_pretrained(name, **_shared(kwargs))
    if isinstance(config, EquiConfig):
        raise ConfigurationError(
            f"{name} is symmetrised already: load it with EquiLM.from_pretrained, then symmetrize(lm.unwrap(), group, "
            "tokenizer=lm.tokenizer)"
        )
    return config


def _find_task(model: Any, config: PreTrainedConfig) -> Task:
    """The one task that a model serves."""
    if isinstance(model, PreTrainedModel):
        owners = [task for task in TASKS.values() if task.owns(model)]
        if not owners:
            whats = " and no ".join(task.what for task in TASKS.values())
            autos = " or ".join(task.auto_class.__name__ for task in TASKS.values())
            raise UnsupportedModelError(f"{type(model).__name__} is no {whats}: load one with {autos}")
        return owners[0]
    known = [task for task in TASKS.values() if task.knows(config)]
    if not known:
        raise UnsupportedModelError(
            f"A {config.model_type!r} model serves none of the tasks that there are: {', '.join(map(repr, TASKS))}."
        )
    named = [task for task in known if task.names_architecture(config)] or known
    if len(named) > 1:
        names = " or ".join(f"task={task.name!r}" for task in named)
        raise ConfigurationError(f"A {config.model_type!r} model serves several tasks: say which, {names}")
    return named[0]
