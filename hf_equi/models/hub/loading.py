"""How a wrapped model is loaded: with what prepares its inputs, its weights from its checkpoint or its base's."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from transformers import GenerationConfig
from transformers.utils import CONFIG_NAME, GENERATION_CONFIG_NAME

from hf_equi.bases.compat import find_file
from hf_equi.bases.loading import check_complete, load_checked, load_safetensors, without_question
from hf_equi.bases.reading import AGAIN, reading
from hf_equi.checks import check_token_ids
from hf_equi.errors import ConfigurationError
from hf_equi.models.hub.origins import check_pinned
from hf_equi.models.hub.staging import require_config
from hf_equi.symmetrizers import Combine, Select, Weigh

__all__ = ["LoadingMixin"]

_HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")
# Arguments that name a place in the checkpoint's repository and would not exist in that of its base. The Auto classes
# put the checkpoint's commit into those for adapters too.
_OF_ONE_REPOSITORY = ("_commit_hash", "adapter_kwargs", "revision", "subfolder")
_OF_NETWORKS = ("method", "lambda_features")
"""The settings that decide which networks a model has besides its base."""
_NETWORKS = ("frozen_base.", *(f"{kind.network_name}." for kind in (Select, Weigh, Combine)))
"""The prefixes of the names of a method's weights."""


class LoadingMixin:
    """What wrapped models add to `from_pretrained`."""

    auto_class: ClassVar[Any]
    auto_class_of: Any
    own_arguments: ClassVar[tuple[str, ...]] = ()
    """The arguments that `from_pretrained` passes to the model itself, and not to its base."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, config: Any = None, **kwargs: Any) -> Any:
        """Load a model with what prepares its inputs; weights that it does not store come from the base's repository.

        Raises:
            ConfigurationError: If the checkpoint is of another model type, is damaged, or holds no safetensors; if it
                lacks weights, has others than its config says, or some that are not finite numbers; if its tokenizer
                or the words of its group disagree with the stored permutation; if another group is passed.
        """
        if "group" in kwargs:
            raise ConfigurationError(
                "group=: a checkpoint has its own group. Load it without group=, and symmetrize its base for another "
                "group: hf_equi.symmetrize(model.unwrap(), group)."
            )
        path = pretrained_model_name_or_path
        hub = {name: kwargs[name] for name in _HUB_ARGUMENTS if name in kwargs}
        config = cls._read_config(path, config, hub)
        settings = {*config.to_dict(), "num_labels"} - {"dtype", "group"}
        given = {name: kwargs.pop(name) for name in [*kwargs] if name in settings}
        changed = {name for name, value in given.items() if getattr(config, name, None) != value}
        for name, value in given.items():
            setattr(config, name, value)
        config._check()
        leave = {"trust_remote_code": kwargs.get("trust_remote_code")}
        companions = cls._load_companions(path, config, without_question(hub | leave))
        if path is not None and kwargs.get("generation_config") is None:
            cls._read_generation_config(path, hub)
        asked = kwargs.pop("output_loading_info", False)
        if config.stores_base:
            load = super().from_pretrained  # type: ignore[misc]
            loaded, information = load_checked(load, path, *args, config=config, **kwargs)
            loaded.fill_missing(information["missing_keys"])
            own = ", ".join(f"{name}=" for name in cls.own_arguments if kwargs.get(name) is not None)
            advice = f"This call passes {own}: pass what the model was saved with, or leave it out. {AGAIN}"
            check_complete(loaded, cls._due(information, changed), path, advice if own else AGAIN)
        else:
            loaded = cls._load_through_base(path, config, kwargs)
            information = {kind: set() for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")}
        loaded.settle()
        for name, companion in companions.items():
            setattr(loaded, name, companion)
        return (loaded, information) if asked else loaded

    @classmethod
    def _due(cls, information: dict[str, Any], changed: set[str]) -> dict[str, Any]:
        """Return what transformers reports of a load; if the caller changes the method, without names of networks."""
        if changed.isdisjoint(_OF_NETWORKS):
            return information
        return {
            kind: {key for key in names if not str(key).startswith(_NETWORKS)} for kind, names in information.items()
        }

    def fill_missing(self, missing: set[str]) -> None:
        """Fill weights that a checkpoint may lack, and remove their names from the missing ones."""

    @classmethod
    def _load_companions(cls, path: Any, config: Any, hub: dict[str, Any]) -> dict[str, Any]:
        """Return what prepares inputs, checked, by the attributes that hold it: by default nothing."""
        return {}

    @classmethod
    def _read_config(cls, path: Any, config: Any, hub: dict[str, Any]) -> Any:
        """Return the config of a checkpoint, or a copy of the caller's, because loading changes the config."""
        own: Any = cls.config_class  # type: ignore[attr-defined]
        if isinstance(config, own):
            config = copy.deepcopy(config)
        else:
            if isinstance(place := config or path, str | os.PathLike) and Path(place).is_dir():
                require_config(Path(place, hub.get("subfolder") or ""))
            with reading(f"The {CONFIG_NAME} of {place}", AGAIN):
                stored, _ = own.get_config_dict(place, **hub)
                if not isinstance(stored, Mapping):
                    raise ConfigurationError(f"it holds {stored!r:.80}, which is not a model. {AGAIN}")
            if (found := stored.get("model_type")) != own.model_type:
                way = (
                    f"Load it with {cls.auto_class.__name__}, or the class of that type."
                    if str(found).startswith("equi")
                    else f"Wrap it: hf_equi.symmetrize({str(path)!r}, group)."
                )
                raise ConfigurationError(f"{path} holds a {found!r} model, not an {own.model_type!r} model. {way}")
            if not isinstance(stored.get("base_config"), Mapping):
                raise ConfigurationError(f"The {CONFIG_NAME} of {config or path} holds no config of its base. {AGAIN}")
            config = own.from_dict(stored, name_or_path=str(config or path))
        if not config.has_group:
            raise ConfigurationError(f"{path} holds no group: make a model with hf_equi.symmetrize(model, group)")
        return config

    @classmethod
    def _read_generation_config(cls, path: Any, hub: dict[str, Any]) -> GenerationConfig | None:
        """Return the checkpoint's generation config; transformers would silently replace a damaged one by defaults."""
        if not cls.can_generate() or find_file(path, GENERATION_CONFIG_NAME, **hub) is None:  # type: ignore[attr-defined]
            return None
        with reading(f"The {GENERATION_CONFIG_NAME} of {path}", AGAIN):
            config = GenerationConfig.from_pretrained(path, **hub)
            for name in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"):
                check_token_ids(name, getattr(config, name, None))
        return config

    @classmethod
    def _load_through_base(cls, path: Any, config: Any, kwargs: dict[str, Any]) -> Any:
        name, revision = check_pinned(config, path)
        passed = {key: value for key, value in kwargs.items() if key not in _OF_ONE_REPOSITORY}
        own = {key: passed.pop(key) for key in cls.own_arguments if key in passed}
        hub = {key: kwargs[key] for key in _HUB_ARGUMENTS if key in kwargs}
        # The stored config is the one with which the group and its tokens were checked.
        passed |= {"config": config.base_config, "revision": revision}
        with reading(f"The base of {path}, {name} at {revision[:7]}", AGAIN):
            base = load_safetensors(cls.auto_class_of(config), name, **passed)
        config.stores_base = True  # for the model in memory; `save_base=False` sets it to false again
        model = cls(config, base, **own)  # type: ignore[call-arg]
        model.remember_base()  # type: ignore[attr-defined]
        if (generation := cls._read_generation_config(path, hub)) is not None:
            model.generation_config = generation  # type: ignore[attr-defined]
        return model.eval()  # type: ignore[attr-defined]
