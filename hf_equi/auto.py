"""One call that makes a model equivariant."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from hf_equi.actions.resolution import resolve_tokens
from hf_equi.errors import ConfigurationError, HfEquiWarning, UnsupportedModelError
from hf_equi.generation import check_base
from hf_equi.generation.equizero_search import check_search
from hf_equi.generation.scorers import DEFAULT_REGARD, Scorer
from hf_equi.groups import DemographicGroup, FiniteGroup
from hf_equi.models.causal_lm import EquiLM, EquiLMConfig, EquizeroLM, EquizeroLMConfig
from hf_equi.models.causal_lm.checkpoints import hub_name, load_base
from hf_equi.models.causal_lm.fingerprint import fingerprint
from hf_equi.models.causal_lm.methods import create
from hf_equi.symmetrizers import Symmetrizer

__all__ = ["DEMO", "DEMO_FOLDER", "TASKS", "symmetrize"]

TASKS = ("causal_lm",)
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
    average: str = "logits",
    multi_token: str = "error",
    orbit_chunk_size: int | None = None,
    scorer: Scorer | None = None,
    beam_length: int | None = None,
    action: str | None = None,
    **from_pretrained_kwargs: Any,
) -> EquiLM:
    r"""Make a pretrained model equivariant to a group, without retraining: `M_G(gx) = g M_G(x)` for all g.

    Args:
        model: A model, or a name on the Hub, a folder, or `"demo"` for the embedded demo model.
        group: The group. A `DemographicGroup` acts on causal language models.
        method: How an orbit becomes one output: `"equitune"`, `"equizero"`, `"mixture"`, `"canonical"`, or
            `"identity"` for the base as it is, to compare with.
        task: `"causal_lm"`; by default found from the model.
        tokenizer: The model's tokenizer, for a `model` that is an object.
        average: What equi-tuning averages: `"logits"` or `"probabilities"`.
        multi_token: What to do with a set of words that has no form of one token: `"error"` or `"skip"`.
        orbit_chunk_size: Members of each orbit that go through the base at once; by default all.
        scorer: What `"equizero"` minimises: a `RegardScorer`, by default of `sasha/regardv3`, or any callable from a
            list of texts to a tensor of losses.
        beam_length: Tokens that each member drafts in a round of `"equizero"`; 5 by default.
        action: What `"equizero"` acts on: `"tokens"`, the default, or `"words"`.
        **from_pretrained_kwargs: dtype, device_map, revision, trust_remote_code and what else `from_pretrained` takes.

    Returns:
        An `EquiLM` (`"equizero"`: an `EquizeroLM`) with its tokenizer. A model passed as an object is not copied.

    Raises:
        ActionError: For words that the tokenizer cannot move.
        ConfigurationError: For an unknown method, task or setting, a missing tokenizer, a model that is symmetrised
            already, a checkpoint without safetensors. All checks but the last run before weights are loaded.
        OSError: For a name without a model, as in transformers.
        UnsupportedModelError: For a model family that cannot be wrapped.
    """
    group = _check_request(task, group)
    search = _search_settings(create(method, average), scorer, beam_length, action)
    base_config, tokenizer = _describe(model, tokenizer, from_pretrained_kwargs)
    config = _make_config(
        group,
        tokenizer,
        search,
        # Of an object nobody knows the revision.
        hub=None if isinstance(model, PreTrainedModel) else from_pretrained_kwargs,
        base_config=base_config,
        method=method,
        average=average,
        multi_token="skip" if action == "words" else multi_token,  # there tokens serve to score with alone
        orbit_chunk_size=orbit_chunk_size,
    )
    return _wrap(model, config, tokenizer, scorer, from_pretrained_kwargs)


def _make_config(
    group: DemographicGroup,
    tokenizer: Any,
    search: dict[str, Any] | None,
    hub: dict[str, Any] | None,
    **settings: Any,
) -> EquiLMConfig:
    """The config, with the tokens that stand for the group's words, and the base's name on the Hub."""
    vocab_size = settings["base_config"].get_text_config().vocab_size
    settings["group"] = group.to_dict()
    with warnings.catch_warnings():
        if search is not None and search["action"] == "words":  # which move without tokens of their own
            warnings.simplefilter("ignore", HfEquiWarning)
        settings["token_map"] = resolve_tokens(group, tokenizer, vocab_size, settings["multi_token"]).to_dict()
    settings["tokenizer_fingerprint"] = fingerprint(tokenizer)
    if hub is not None:
        settings["base_name"], settings["base_revision"] = hub_name(settings["base_config"], **hub)
    return EquiLMConfig(**settings) if search is None else EquizeroLMConfig(**settings, **search)


def _wrap(
    model: str | Path | PreTrainedModel,
    config: EquiLMConfig,
    tokenizer: Any,
    scorer: Scorer | None,
    kwargs: dict[str, Any],
) -> EquiLM:
    """The base, loaded where it is given by name, in its wrapper."""
    base = model if isinstance(model, PreTrainedModel) else load_base(_resolve_name(model), **kwargs)
    lm = EquizeroLM(config, base, scorer) if isinstance(config, EquizeroLMConfig) else EquiLM(config, base)
    lm.tokenizer = tokenizer
    lm.train(base.training)
    if base is not model:
        lm.remember_base()
    return lm


def _search_settings(
    method: Symmetrizer, scorer: Scorer | None, beam_length: int | None, action: str | None
) -> dict[str, Any] | None:
    """What the config of a search holds, checked; `None` for methods that do not search."""
    given = {"scorer": scorer, "beam_length": beam_length, "action": action}
    names = [name for name, value in given.items() if value is not None]
    if not method.searches:
        if names:
            raise ConfigurationError(
                f"{', '.join(names)}: only method='equizero' has a search, {method.name!r} has no use for them"
            )
        return None
    beam_length, action = 5 if beam_length is None else beam_length, action or "tokens"
    check_search(scorer, beam_length, action)
    default = None if scorer is not None else {"name": DEFAULT_REGARD}
    return {"beam_length": beam_length, "action": action, "scorer_settings": default}


def _check_request(task: str | None, group: FiniteGroup) -> DemographicGroup:
    if task not in (None, *TASKS):
        raise ConfigurationError(f"task={task!r} is not known: use one of {', '.join(map(repr, TASKS))}, or none")
    if not isinstance(group, DemographicGroup):
        raise ConfigurationError(
            f"A causal language model is acted on by a DemographicGroup, not by a {type(group).__name__}. Make one: "
            'hf_equi.DemographicGroup([["man", "woman"]]) or DemographicGroup.preset("gender").'
        )
    return group


def _resolve_name(model: str | Path) -> str:
    """A folder or Hub name; `"demo"` is the embedded model."""
    if str(model) == DEMO:
        return str(DEMO_FOLDER)
    return str(model)


def _describe(model: str | Path | PreTrainedModel, tokenizer: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The config and tokenizer of a base, checked, before any weights are loaded."""
    if isinstance(model, PreTrainedModel):
        if isinstance(model, EquiLM):
            raise ConfigurationError(
                "This model is symmetrised already: unwrap it first, symmetrize(lm.unwrap(), group)"
            )
        if kwargs:
            raise ConfigurationError(f"{', '.join(sorted(kwargs))}: only used where a model is loaded by its name")
        if tokenizer is None:
            raise ConfigurationError(
                "A model passed as an object needs its tokenizer: symmetrize(model, group, tokenizer=...)"
            )
        _check_tokenizer(tokenizer)
        if not model.can_generate() or model.config.is_encoder_decoder or _reads_both_ways(model.config):
            raise UnsupportedModelError(
                f"{type(model).__name__} is no model that reads from left to right and generates text: load one with "
                "AutoModelForCausalLM"
            )
        check_base(model)
        return model.config, tokenizer
    if not isinstance(model, (str, Path)):
        raise ConfigurationError(
            f"A {type(model).__name__} is no PreTrainedModel of transformers, no folder and no name on the Hub"
        )
    name = _resolve_name(model)
    shared = {
        key: kwargs[key]
        for key in ("revision", "trust_remote_code", "token", "cache_dir", "subfolder")
        if key in kwargs
    }
    config = AutoConfig.from_pretrained(name, **shared)
    if isinstance(config, EquiLMConfig):
        raise ConfigurationError(
            f"{name} is symmetrised already: load it with EquiLM.from_pretrained, then symmetrize(lm.unwrap(), group, "
            "tokenizer=lm.tokenizer)"
        )
    _check_family(config)
    if tokenizer is None:
        tokenizer = AutoTokenizer.from_pretrained(name, **shared)
    _check_tokenizer(tokenizer)
    return config, tokenizer


def _reads_both_ways(config: PreTrainedConfig) -> bool:
    """Whether it is an encoder of the kind that is a decoder too, on request."""
    return hasattr(config, "add_cross_attention") and getattr(config, "is_decoder", True) is False


def _check_tokenizer(tokenizer: Any) -> None:
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise ConfigurationError(
            f"tokenizer={tokenizer!r} is no tokenizer of transformers: pass AutoTokenizer.from_pretrained(...)"
        )


def _check_family(config: PreTrainedConfig) -> None:
    """Refuse a config that is no causal language model's; code from the Hub is checked when its class is known."""
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        model_class: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
        check_base(model_class)
    elif "AutoModelForCausalLM" not in (getattr(config, "auto_map", None) or {}):
        raise UnsupportedModelError(
            f"A {config.model_type!r} model is no causal language model, the one task that there is: "
            f"{', '.join(map(repr, TASKS))}."
        )
