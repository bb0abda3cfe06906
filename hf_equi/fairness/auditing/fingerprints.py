"""Descriptions of models, tokenizers and scorers. Equal ones mean equal texts and scores, whatever the names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_equi.bases.offloading import input_device
from hf_equi.bases.weights_fingerprint import weights_fingerprint
from hf_equi.groups import DemographicGroup
from hf_equi.groups.registry import TYPE
from hf_equi.models.cards.audits import LOOKING, scorer_class, telling_settings
from hf_equi.models.causal_lm import EquiLM
from hf_equi.models.text.fingerprint import fingerprint

__all__ = ["describe_group", "describe_model", "describe_scorer", "describe_tokenizer"]

# The path of a model and the writer of its config do not affect what it does.
_VOLATILE = (
    *("_name_or_path", "name_or_path", "_commit_hash", "transformers_version", "base_name", "base_revision"),
    "architectures",  # set when a model is saved
)
_TAG = (TYPE, "demographic")  # the kind of a group, which hf_equi 0.1 did not write
# These settings of a tokenizer in Python say where its files are.
_PLACES = ("is_local", "local_files_only", "backend", "vocab_file", "merges_file", "tokenizer_file")
_OF_A_CALL = ("truncation", "padding")  # a fast tokenizer keeps these from its last call


def describe_group(group: DemographicGroup) -> dict[str, Any]:
    """Return plain JSON that differs between groups of words: as stored, without the kind, which 0.1 did not write."""
    return {key: value for key, value in group.to_dict().items() if key != TYPE}


def describe_model(model: PreTrainedModel, known: dict[int, str]) -> dict[str, Any]:
    """Return plain JSON that differs between models that may generate different texts.

    Args:
        model: A plain causal language model, or an `EquiLM` of any method.
        known: Fingerprints of weights by the id of their model, so that a base shared by several models is read once.
            This function adds to it.
    """
    base = model.base if isinstance(model, EquiLM) else model
    if id(base) not in known:
        known[id(base)] = weights_fingerprint(base)
    described = {
        "class": type(model).__name__,
        **(telling_settings(model.config) if isinstance(model, EquiLM) else {}),
        **({"group": describe_group(model.group)} if isinstance(model, EquiLM) else {}),
        "base_class": type(base).__name__,
        "dtype": str(base.dtype).removeprefix("torch."),
        "device": input_device(base).type,
        "weights": known[id(base)],
        "config": _config_digest(model.config),
        "generation_config": _config_digest(model.generation_config),
    }
    scorer = getattr(model, "scorer", None)
    return described if scorer is None else {**described, "scorer": describe_scorer(scorer, known)}


def describe_tokenizer(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return plain JSON that differs between tokenizers that may read or write a text differently.

    It covers the vocabulary, how a text is normalised, split and joined again, and which tokens are special.

    Args:
        tokenizer: A tokenizer of any kind.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        rules = {key: value for key, value in json.loads(backend.to_str()).items() if key not in _OF_A_CALL}
    else:  # in Python: its settings, and what sentencepiece was trained to
        rules = {key: value for key, value in tokenizer.init_kwargs.items() if key not in _PLACES}
        model = getattr(tokenizer, "sp_model", None)
        if model is not None:
            rules["sp_model"] = hashlib.blake2b(model.serialized_model_proto(), digest_size=16).hexdigest()
    return {
        "class": type(tokenizer).__name__,
        "vocabulary": fingerprint(tokenizer),
        "rules": _digest(rules),
        "special_tokens": {name: str(token) for name, token in sorted(tokenizer.special_tokens_map.items())},
        "model_max_length": min(tokenizer.model_max_length, 2**31),  # without a limit, transformers has 10^30
    }


def describe_scorer(scorer: Any, known: dict[int, str]) -> dict[str, Any]:
    """Return plain JSON that differs between scorers that may give different numbers.

    Args:
        scorer: A `ClassifierScorer`, or any other callable, of which only the name is known.
        known: As in `describe_model`.
    """
    described: dict[str, Any] = {"class": scorer_class(scorer)}
    for name in ("name", "label", "score", "batch_size"):
        value = getattr(scorer, name, None)
        if isinstance(value, str | int | float):
            described[name] = value
    group = getattr(getattr(scorer, "mask", None), "group", None)
    if isinstance(group, DemographicGroup):
        described["mask"] = describe_group(group)
    tokenizer = getattr(scorer, "tokenizer", None)
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        described["tokenizer"] = describe_tokenizer(tokenizer)
        # A scorer truncates and pads texts by these settings. The audit itself does not use them.
        described["sides"] = {"padding": tokenizer.padding_side, "truncation": tokenizer.truncation_side}
    model = getattr(scorer, "model", None)
    if isinstance(model, torch.nn.Module):
        if id(model) not in known:
            known[id(model)] = weights_fingerprint(model)
        described["weights"] = known[id(model)]
        described["config"] = _config_digest(getattr(model, "config", None))
    return described


def _config_digest(config: Any) -> str:
    content = config.to_dict() if hasattr(config, "to_dict") else None
    if content is not None and content.get("multi_token") != "compose":  # 0.1.1 did not have these
        content = {name: value for name, value in content.items() if name not in LOOKING}
    return _digest(content)


def _digest(content: Any) -> str:
    text = json.dumps(_stable(content), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _stable(content: Any) -> Any:
    if isinstance(content, Mapping):
        kept = {key: value for key, value in content.items() if key not in _VOLATILE and (key, value) != _TAG}
        return {str(key): _stable(value) for key, value in kept.items()}
    if isinstance(content, list | tuple):
        return [_stable(item) for item in content]
    return content
