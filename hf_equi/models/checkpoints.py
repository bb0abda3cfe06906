"""Saving and loading a wrapped model: with what prepares its inputs, with or without the base's weights."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any, ClassVar

from transformers import PreTrainedModel
from transformers.utils import CONFIG_NAME, cached_file
from transformers.utils.hub import extract_commit_hash

from hf_equi.errors import ConfigurationError
from hf_equi.generation.loading import load_safetensors

__all__ = ["CheckpointMixin", "hub_name"]

LOADER = "import_hf_equi.py"
"""The module that lets the Auto classes load a checkpoint before `import hf_equi`, with `trust_remote_code=True`."""
_LOADER_TEXT = '''\
"""This checkpoint needs the package hf_equi: `pip install hf_equi`, then `import hf_equi` first."""

import sys
import warnings

if "hf_equi" not in sys.modules:
    warnings.warn(
        "This is a checkpoint of hf_equi: run `import hf_equi` before loading it, and trust_remote_code is not needed",
        stacklevel=2,
    )

try:
    from hf_equi import {model}, {config}
except ModuleNotFoundError as error:
    raise ImportError("This checkpoint needs hf_equi: run `pip install hf_equi`, then `import hf_equi`") from error

__all__ = ["{model}", "{config}"]
'''
_HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")


def hub_name(config: Any, **hub: Any) -> tuple[str | None, str | None]:
    """The name under which a model was loaded from the Hub and the commit, or nothing for other models.

    Args:
        config: The model's config.
        **hub: The `revision` and `cache_dir` that it was loaded with, where they are known.
    """
    name = getattr(config, "_name_or_path", "") or ""
    if not name or Path(name).exists():
        return None, None
    cached = {key: hub[key] for key in ("revision", "cache_dir") if key in hub}
    try:
        return name, extract_commit_hash(cached_file(name, CONFIG_NAME, local_files_only=True, **cached), None)
    except OSError:  # no name of the Hub after all, or gone from the cache
        return None, None


class CheckpointMixin:
    """What wrapped models add to `PreTrainedModel` for their base and for what prepares their inputs."""

    auto_class: ClassVar[Any]
    base: PreTrainedModel
    config: Any
    generation_config: Any
    _loaded_base: list[int] | None
    own_arguments: ClassVar[tuple[str, ...]] = ()
    """What `from_pretrained` hands to the model itself, and not to its base."""

    def unwrap(self) -> PreTrainedModel:
        """The base model, the same object."""
        return self.base

    def save_base_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Save the base alone, as a checkpoint of its own class, with what prepares its inputs."""
        self.base.save_pretrained(save_directory, **kwargs)
        self._save_companions(Path(save_directory))

    def _save_companions(self, folder: Path) -> None:
        """Save what prepares the inputs of the model."""
        raise NotImplementedError

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *args: Any, save_base: bool = True, **kwargs: Any
    ) -> None:
        """Save weights, config, generation config and what prepares inputs.

        Args:
            save_directory: Where to.
            *args: As in transformers.
            save_base: `False` stores no weights, only the base's name and revision on the Hub, from where
                `from_pretrained` loads them. It is for bases as they were loaded, by name, through `symmetrize`.
            **kwargs: As in transformers.

        Raises:
            ConfigurationError: For `save_base=False` and a base that `symmetrize` has not loaded from the Hub, or
                that was trained since.
        """
        if not save_base:
            self._require_hub_base()
            if kwargs.get("push_to_hub"):
                raise ConfigurationError("save_base=False saves to a folder: save, then upload the folder")
        self._check_unchanged()
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        loader = _LOADER_TEXT.format(model=type(self).__name__, config=type(self.config).__name__)
        (folder / LOADER).write_text(loader, encoding="utf-8")
        self.config.auto_map = {
            "AutoConfig": f"{Path(LOADER).stem}.{type(self.config).__name__}",
            self.auto_class.__name__: f"{Path(LOADER).stem}.{type(self).__name__}",
        }
        if not self.base.config.architectures:  # as saving the base notes it: some configs have two classes
            self.base.config.architectures = [type(self.base).__name__]
        # Before the weights: with push_to_hub the whole folder goes out at the end of their saving.
        self._save_companions(folder)
        if save_base:
            super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]
        else:
            self._save_without_base(folder)

    def _check_unchanged(self) -> None:
        """Refuse to write a checkpoint that could not be loaded again."""

    def _require_hub_base(self) -> None:
        if self.config.base_name is None:
            raise ConfigurationError(
                "save_base=False stores the base by its name and revision on the Hub, but this base was not loaded "
                f"from there by symmetrize (name_or_path={getattr(self.base.config, '_name_or_path', '')!r}). Save it "
                "whole, or wrap it by its name: symmetrize(name, group)."
            )
        inside = {id(parameter) for parameter in self.base.parameters()}
        if any(id(parameter) not in inside for parameter in self.parameters()):  # type: ignore[attr-defined]
            raise ConfigurationError(
                f"save_base=False stores no weights, but this model has some beside its base's, those of the method "
                f"{self.config.method!r}. Save it whole."
            )
        if self._loaded_base != _versions(self.base):
            raise ConfigurationError(
                f"save_base=False stores the base by its name, {self.config.base_name!r}, but its weights have "
                "changed since they were loaded. Save it whole."
            )

    def remember_base(self) -> None:
        """Note that the base is as it was loaded from the Hub."""
        self._loaded_base = _versions(self.base)

    def _save_without_base(self, folder: Path) -> None:
        config = copy.deepcopy(self.config)
        config.stores_base = False
        config.architectures = [type(self).__name__]
        config.save_pretrained(folder)
        if self.can_generate():  # type: ignore[attr-defined]
            self.generation_config.save_pretrained(folder)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, config: Any = None, **kwargs: Any) -> Any:
        """Load a model with what prepares its inputs; the weights from the base's own repository where it has none.

        Raises:
            ConfigurationError: If the checkpoint is of another model type, or its tokenizer disagrees with the stored
                permutation.
        """
        hub = {name: kwargs[name] for name in _HUB_ARGUMENTS if name in kwargs}
        config = cls._read_config(pretrained_model_name_or_path, config, hub)
        settings = {*config.to_dict(), "num_labels"} - {"dtype", "group"}
        for name in [name for name in kwargs if name in settings]:
            setattr(config, name, kwargs.pop(name))
        config._check()
        companions = cls._load_companions(pretrained_model_name_or_path, config, hub)
        if config.stores_base:
            kwargs["use_safetensors"] = True  # no pickle is ever loaded
            model = super().from_pretrained(pretrained_model_name_or_path, *args, config=config, **kwargs)  # type: ignore[misc]
        else:
            model = cls._load_through_base(pretrained_model_name_or_path, config, kwargs)
        loaded, information = model if isinstance(model, tuple) else (model, None)
        for name, companion in companions.items():
            setattr(loaded, name, companion)
        return loaded if information is None else (loaded, information)

    @classmethod
    def _load_companions(cls, path: Any, config: Any, hub: dict[str, Any]) -> dict[str, Any]:
        """What prepares inputs, checked, by the attributes that hold it."""
        raise NotImplementedError

    @classmethod
    def _read_config(cls, path: Any, config: Any, hub: dict[str, Any]) -> Any:
        if not isinstance(config, cls.config_class):  # type: ignore[attr-defined]
            stored, _ = cls.config_class.get_config_dict(config or path, **hub)  # type: ignore[attr-defined]
            if stored.get("model_type") != cls.config_class.model_type:  # type: ignore[attr-defined]
                found, own = stored.get("model_type"), cls.config_class.model_type  # type: ignore[attr-defined]
                way = (
                    f"Load it with {cls.auto_class.__name__}, or the class of that type."
                    if str(found).startswith("equi")
                    else f"Wrap it: hf_equi.symmetrize({str(path)!r}, group)."
                )
                raise ConfigurationError(f"{path} holds a {found!r} model, not an {own!r} one. {way}")
            config = cls.config_class.from_pretrained(config or path, **hub)  # type: ignore[attr-defined]
        if not config.has_group:
            raise ConfigurationError(f"{path} holds no group: make a model with hf_equi.symmetrize(model, group)")
        return config

    @classmethod
    def _load_through_base(cls, path: Any, config: Any, kwargs: dict[str, Any]) -> Any:
        # The revision of the checkpoint is not that of the base.
        passed = {name: value for name, value in kwargs.items() if name not in ("revision", "subfolder")}
        own = {name: passed.pop(name) for name in cls.own_arguments if name in passed}
        base = load_safetensors(cls.auto_class, config.base_name, revision=config.base_revision, **passed)
        config.stores_base = True  # of the model in memory; `save_base=False` asks for it again
        model = cls(config, base, **own)  # type: ignore[call-arg]
        model.remember_base()
        if model.can_generate():  # type: ignore[attr-defined]
            model.generation_config = type(model.generation_config).from_pretrained(path)
        return model.eval()  # type: ignore[attr-defined]


def _versions(base: PreTrainedModel) -> list[int]:
    """How often each weight was written to, as torch counts."""
    return [parameter._version for parameter in base.parameters()]
