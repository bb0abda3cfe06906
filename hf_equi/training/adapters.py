r"""Adapters of peft on symmetrised models: which layers they adapt, and how they move between a model and its base.

peft finds the layers that it adapts by the ends of their names, and knows the usual layers of each `model_type`. A
symmetrised model has its own `model_type`, and may hold other layers with such names: those of a text tower or of a
frozen copy. In its base, `base.`, every adapter leaves the model equivariant.

    base_model.model.base.transformer.h.0.attn.c_attn.lora_A.weight    an adapter of the symmetrised model
    base_model.model.transformer.h.0.attn.c_attn.lora_A.weight         the same adapter of its base
"""

from __future__ import annotations

import copy
import os
import re
import warnings
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HFValidationError, LocalEntryNotFoundError
from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTunerLayer, _maybe_include_all_linear_layers, check_target_module_exists
from peft.utils.other import ModulesToSaveWrapper
from safetensors import safe_open
from safetensors.torch import save_file

from hf_equi.bases.finite import check_finite
from hf_equi.bases.reading import AGAIN, reading
from hf_equi.bases.weight_files import ADAPTER_NAME
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.models.base import EquiPreTrainedModel
from hf_equi.models.clip import EquiCLIPModel
from hf_equi.models.hub.staging import staged
from hf_equi.models.peft.bases import WHOLE_KINDS, check_acts_in_layers, refused_prompts

__all__ = ["adapter_config", "load_adapter", "save_adapter"]

_ROOT = "base_model.model."
"""The prefix of the keys in an adapter file."""
_INSIDE = "base."
_OUTSIDE = r"(?!base\.).*"
_TEXT_TOWER = "text_.*"
_WEIGHTS = "adapter_model.safetensors"
# The kinds that were tested. VeRA, VB-LoRA and others share weights between layers, and peft keeps those weights
# outside the base.
_MOVING = (
    *WHOLE_KINDS,
    "ADAMSS",
    "BOFT",
    "DEFT",
    "FOURIERFT",
    "GLORA",
    "HIRA",
    "OFT",
    "OSF",
    "PEANUT",
    "PSOFT",
    "SHIRA",
    "SUPERTUNING",
    "WAVEFT",
)


def adapter_config(model: Any, config: PeftConfig) -> PeftConfig:
    r"""Return the settings of an adapter that adapts only the base of a symmetrised model.

    Args:
        model: A symmetrised model.
        config: `LoraConfig`, `IA3Config` or another config that docs/finetuning.md lists. Without `target_modules`,
            the layers are those that peft lists for the `model_type` of the base (for IA³ the `feedforward_modules` as
            well). With a list, they are the layers of the base whose names end so; for a CLIP model, those of its
            image tower. With a regular expression, they are the layers of the base that it matches, by their names in
            the base or in the model.

    Returns:
        A copy, for `peft.get_peft_model(model, ...)`. To train λ as well, set `modules_to_save=["lambda_network"]`.

    Raises:
        ConfigurationError: If `config` is not a configuration; for a base of a type that peft does not know; for a
            kind of adapter that was not tested; for prompts, which nothing could act on; for a model that is not
            symmetrised; for single tokens of tied embeddings; for `modules_to_save` and `bias="all"` that would train
            a frozen copy of the base.
        UnsupportedModelError: For adapters that are more than layers.

    Example:
        >>> import hf_equi
        >>> from peft import LoraConfig, get_peft_model
        >>> lm = hf_equi.symmetrize("demo", hf_equi.DemographicGroup([["man", "woman"]]))
        >>> config = adapter_config(lm, LoraConfig(r=2, task_type="CAUSAL_LM"))
        >>> sorted(config.target_modules), config.exclude_modules
        (['c_attn'], '(?!base\\.).*')
    """
    _require_wrapper(model)
    if not isinstance(config, PeftConfig):
        raise ConfigurationError(f"{config!r} is not a peft configuration: pass one, such as LoraConfig(r=8)")
    if config.is_prompt_learning:
        raise refused_prompts(type(model).__name__)
    _check_kind(model, config)
    _check_frozen_copy(model, config)
    filled: Any = _fill_targets(model, copy.deepcopy(config))
    towers = isinstance(model, EquiCLIPModel) and not isinstance(filled.target_modules, str)
    own = [name for name, _ in model.named_modules()]
    if isinstance(filled.target_modules, str) and any(re.fullmatch(filled.target_modules, name) for name in own):
        settings: PeftConfig = filled  # made for this model
        return settings
    return _moved_inside(model.base, filled, _TEXT_TOWER if towers else None)


def save_adapter(model: Any, folder: str | os.PathLike[str]) -> None:
    """Save the adapter of a symmetrised model as one for its base, which `PeftModel.from_pretrained` loads there.

    Args:
        model: The result of `peft.get_peft_model` for a symmetrised model. Its active adapter is saved.
        folder: The folder to save to.

    Raises:
        ConfigurationError: For another model; for no or several active adapters; if the folder cannot be written.

    Warns:
        HfEquiWarning: If the adapter holds weights that do not belong to the base, such as λ. They are left out. Save
            them with the symmetrised model after `merge_and_unload`, or with peft's `save_pretrained`.
    """
    wrapper = model.get_base_model() if isinstance(model, PeftModel) else model
    _require_wrapper(wrapper)
    if not isinstance(model, PeftModel):
        raise ConfigurationError(
            f"This {type(model).__name__} is not a PeftModel: pass the result of peft.get_peft_model. To save an "
            "adapter inside the base, use model.unwrap().save_pretrained(folder)."
        )
    names = model.active_adapters
    if len(names) != 1:
        raise ConfigurationError(
            f"Only one adapter can be saved at a time, but {names} are active: use model.set_adapter(name)"
        )
    weights = get_peft_model_state_dict(model, adapter_name=names[0], save_embedding_layers=False)
    inside = {
        _ROOT + key.removeprefix(_ROOT + _INSIDE): weight.contiguous()
        for key, weight in weights.items()
        if key.startswith(_ROOT + _INSIDE)
    }
    if left := sorted(
        {key.removeprefix(_ROOT).split(".")[0] for key in weights if not key.startswith(_ROOT + _INSIDE)}
    ):
        warnings.warn(
            f"{', '.join(left)}: not part of the base, so its trained weights are left out. Save it with the "
            "symmetrised model: model.merge_and_unload().save_pretrained(folder).",
            HfEquiWarning,
            stacklevel=2,
        )
    config = _moved_outside(wrapper, model.peft_config[names[0]], names[0])
    kind = {"base_model_class": type(wrapper.base).__name__, "parent_library": type(wrapper.base).__module__}
    with staged(Path(folder)) as new:
        save_file(inside, new / _WEIGHTS, metadata={"format": "pt"})
        config.save_pretrained(str(new), auto_mapping_dict=None if config.task_type else kind)


def load_adapter(
    model: Any,
    folder: str | os.PathLike[str],
    *,
    is_trainable: bool = False,
    adapter_name: str = "default",
    **hub: Any,
) -> PeftModel:
    """Load an adapter into a symmetrised model: one for its base, or one for the model itself.

    Args:
        model: A symmetrised model.
        folder: A folder or a name on the Hub, as `PeftModel.save_pretrained` or `save_adapter` write it.
        is_trainable: Whether to continue training it.
        adapter_name: The name to give it.
        **hub: Arguments of `hf_hub_download`: `revision`, `token` and so on.

    Returns:
        The `PeftModel` over the symmetrised model.

    Raises:
        ConfigurationError: For prompts, which work only inside the base; for single tokens of tied embeddings; for a
            kind that was not tested; for an adapter without safetensors; for a damaged adapter; for a model that is
            not symmetrised.

    Warns:
        HfEquiWarning: If the adapter holds weights that this model has no place for.
    """
    _require_wrapper(model)
    local = _fetch(folder, hub)
    with reading(f"The adapter {folder}", AGAIN):
        config = PeftConfig.from_pretrained(str(local))
        with safe_open(str(local / _WEIGHTS), "pt") as stored:
            keys = list(stored.keys())
    if config.is_prompt_learning:
        raise refused_prompts(type(model).__name__)
    _check_kind(model, config)
    inside = any(key.startswith(_ROOT + _INSIDE) for key in keys)
    mapping = {} if inside else {"^": _INSIDE}
    config = config if inside else _moved_inside(model.base, config)
    config.base_model_name_or_path = getattr(model, "name_or_path", None) or None
    options: dict[str, Any] = {"config": config, "key_mapping": mapping, "is_trainable": is_trainable}
    adapted = PeftModel.from_pretrained(model, str(local), adapter_name, **options)
    own = get_peft_model_state_dict(adapted, adapter_name=adapter_name, save_embedding_layers=False)
    check_finite(own.items(), folder)
    needed = {key if inside else _ROOT + _INSIDE + key.removeprefix(_ROOT) for key in keys}
    if left := sorted(needed - set(own)):
        warnings.warn(
            f"{type(model).__name__} has no place for {len(left)} of {len(keys)} weights of the adapter, such as "
            f"{left[0]}: they are left out. Was the adapter made for another base?",
            HfEquiWarning,
            stacklevel=2,
        )
    return adapted


def _require_wrapper(model: Any) -> None:
    if isinstance(model, PeftModel) and isinstance(model.get_base_model(), EquiPreTrainedModel):
        raise ConfigurationError(
            "This symmetrised model already has an adapter. Add another with model.add_adapter(name, "
            "adapter_config(model.get_base_model(), config)), or merge the first: model.merge_and_unload()."
        )
    if not isinstance(model, EquiPreTrainedModel):
        raise ConfigurationError(
            f"A {type(model).__name__} is not symmetrised: make a model with hf_equi.symmetrize(model, group). For "
            "adapters of other models, use peft directly."
        )


def _check_kind(model: Any, config: Any) -> None:
    """Refuse adapters that could not move between a symmetrised model and its base, or would learn something else."""
    check_acts_in_layers(config)
    inside = "Adapt the base and symmetrize that: symmetrize(get_peft_model(base, config), group)."
    if config.peft_type not in _MOVING:
        raise ConfigurationError(
            f"{type(config).__name__}: adapters of the kind {config.peft_type.value} may not keep their values when "
            f"they move between a symmetrised model and its base. {inside}"
        )
    # peft looks for tied weights in the model that it is given.
    if getattr(config, "trainable_token_indices", None) and getattr(model.base, "all_tied_weights_keys", None):
        raise ConfigurationError(
            "trainable_token_indices trains single tokens of embeddings, but the base ties the embeddings to its "
            f"head: on the symmetrised model peft would train one and leave the other. {inside}"
        )


def _check_frozen_copy(model: Any, config: Any) -> None:
    """Refuse settings that would also train the frozen copy: peft finds layers and biases by their names' ends."""
    frozen = getattr(model, "frozen_base", None)
    if frozen is not None and getattr(config, "bias", "none") == "all":
        raise ConfigurationError(
            "bias='all' would train the biases of the frozen copy from which λ reads its features: use "
            "bias='lora_only', or symmetrize the base without lambda_features='frozen'."
        )
    copied = [] if frozen is None else [name for name, _ in frozen.named_modules()]
    names = getattr(config, "modules_to_save", None) or []
    if found := [name for name in names if any(each.endswith(name) for each in copied)]:
        raise ConfigurationError(
            f"modules_to_save={found}: the frozen copy from which λ reads its features also has these layers. Adapt "
            "them with target_modules, or symmetrize the base without lambda_features='frozen'."
        )


def _fill_targets(model: Any, config: Any) -> Any:
    """Fill in the layers that peft would adapt in the bare base."""
    config = _maybe_include_all_linear_layers(config, model.base)
    if isinstance(fed := getattr(config, "feedforward_modules", None), (list, set)) and config.target_modules:
        # If those are whole names, these must be too, because peft loads only a part of them.
        config.feedforward_modules = {name for name in config.target_modules if name.endswith(tuple(fed))}
    kind = model.base.config.model_type
    tuner = PEFT_TYPE_TO_TUNER_MAPPING[config.peft_type]
    try:
        # The same lookup that peft does for the bare base; it needs no tuner to be built.
        return tuner.__new__(tuner)._prepare_adapter_config(config, {"model_type": kind})
    except ValueError as error:
        missing = "target_modules" if config.target_modules is None else "feedforward_modules"
        ends = sorted(
            {
                name.rpartition(".")[2]
                for name, module in model.base.named_modules()
                if getattr(module, "weight", None) is not None and module.weight.dim() > 1
            }
        )
        raise ConfigurationError(
            f"peft knows no {missing} for {type(config).__name__} with a base of the type {kind!r}: name some, for "
            f"example {type(config).__name__}({missing}=[...]). The names of its layers end in {', '.join(ends)}."
        ) from error


def _moved_inside(base: Any, config: Any, excluded: str | None = None) -> PeftConfig:
    """Return the settings of a base's adapter, changed for the base inside a symmetrised model.

    Args:
        base: The base.
        config: The settings. They are changed.
        excluded: A pattern for names in the base to leave out.
    """
    if hasattr(config, "exclude_modules"):
        patterns = [excluded, _as_pattern(config.exclude_modules)]
        config.exclude_modules = "|".join([_OUTSIDE, *(rf"base\.(?:{pattern})" for pattern in patterns if pattern)])
    elif not isinstance(config.target_modules, str):
        # Whole names, because there is no other way to leave out layers outside the base.
        names = [name for name, _ in base.named_modules() if not re.fullmatch(excluded or "", name)]
        config.target_modules = {_INSIDE + name for name in names if check_target_module_exists(config, name)}
    if isinstance(config.target_modules, str):
        config.target_modules = rf"base\.(?:{config.target_modules})"
    if isinstance(getattr(config, "feedforward_modules", None), str):
        config.feedforward_modules = rf"base\.(?:{config.feedforward_modules})"
    moved: PeftConfig = config
    return moved


def _as_pattern(names: Any) -> str | None:
    """Return modules to leave out, as one pattern of their names."""
    if not names or isinstance(names, str):
        return names or None
    return r"(?:.*\.)?(?:" + "|".join(re.escape(name) for name in sorted(names)) + ")"


def _moved_outside(wrapper: Any, config: Any, adapter: str) -> Any:
    """Return the settings of a symmetrised model's adapter, changed for its base: the same layers there."""
    config = copy.deepcopy(config)
    layers: dict[str, Any] = {
        name.removeprefix(_INSIDE): module
        for name, module in wrapper.named_modules()
        if isinstance(module, BaseTunerLayer)
        and name.startswith(_INSIDE)
        and adapter in module._get_available_adapters()
    }
    excludes = hasattr(config, "exclude_modules")
    if excludes:
        config.exclude_modules = _TEXT_TOWER if isinstance(wrapper, EquiCLIPModel) else None
    own = [name for name, _ in wrapper.base.named_modules() if not name.startswith(tuple(f"{key}." for key in layers))]
    short = not isinstance(config.target_modules, str)
    if not short or {name for name in own if check_target_module_exists(config, name)} != set(layers):
        config.target_modules = set(layers)
        if excludes:
            config.exclude_modules = None
        if getattr(config, "feedforward_modules", None) is not None:
            config.feedforward_modules = {name for name, layer in layers.items() if layer.is_feedforward}
    for patterns in ("rank_pattern", "alpha_pattern"):
        if found := getattr(config, patterns, None):
            setattr(config, patterns, {re.sub(r"^\^?base\\?\.", "", key): value for key, value in found.items()})
    saved = [name for name, module in wrapper.base.named_modules() if isinstance(module, ModulesToSaveWrapper)]
    wanted = [name.removeprefix(_INSIDE) for name in config.modules_to_save or []]
    config.modules_to_save = [name for name in wanted if any(each.endswith(name) for each in saved)] or None
    config.inference_mode = True
    name = getattr(wrapper.base, "name_or_path", None) or wrapper.config.base_name
    config.base_model_name_or_path = str(name) if name else None
    config.revision = wrapper.config.base_revision
    return config


def _fetch(folder: str | os.PathLike[str], hub: dict[str, Any]) -> Path:
    """Return the folder of an adapter, downloaded if it is a name on the Hub; a pickle is never read.

    Raises:
        ConfigurationError: Without safetensors.
    """
    local = Path(folder)
    if not local.is_dir():
        try:
            hf_hub_download(str(folder), ADAPTER_NAME, **hub)
            return Path(hf_hub_download(str(folder), _WEIGHTS, **hub)).parent
        except LocalEntryNotFoundError as error:  # a subclass of the error below
            raise ConfigurationError(
                f"The files of the adapter {folder} are not all in the cache, and the Hub cannot be reached. Load it "
                "once with a connection, or name a folder."
            ) from error
        except EntryNotFoundError as error:
            raise _no_safetensors(folder) from error
        except HFValidationError as error:
            raise ConfigurationError(
                f"{folder} is neither a folder nor a name on the Hub: name a folder or repository that holds an "
                "adapter"
            ) from error
    if not (local / _WEIGHTS).is_file():
        raise _no_safetensors(folder)
    return local


def _no_safetensors(folder: Any) -> ConfigurationError:
    return ConfigurationError(
        f"{folder} holds no {_WEIGHTS}, and hf_equi does not load pickle files: load the adapter with peft, and save "
        "it again"
    )
