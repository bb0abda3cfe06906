"""The base of the configurations of all symmetrised models."""

from __future__ import annotations

import copy
import json
import warnings
from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public nevertheless
from transformers import PreTrainedConfig
from transformers.utils import CONFIG_NAME

from hf_equi import __version__
from hf_equi.auto_classes import InstalledClass
from hf_equi.bases.reading import AGAIN, reading
from hf_equi.checks import check_count
from hf_equi.errors import ConfigurationError, GroupError, HfEquiWarning
from hf_equi.groups import FiniteGroup, read_group
from hf_equi.symmetrizers import Method

__all__ = ["FORMAT", "EquiConfig", "class_names", "entries_of", "method_key"]

FORMAT = 1
"""The format of configs that this version writes. It increases if an older version would misread a new config."""


@strict
class EquiConfig(InstalledClass, PreTrainedConfig):
    r"""A base config, a group and a method: the part that all tasks share.

    Args:
        base_config (`PreTrainedConfig` or `dict`, *optional*):
            Configuration of the base model.
        group (`dict`, *optional*):
            The group, as its `to_dict` gives it.
        method (`str`, *optional*, defaults to `"equitune"`):
            How an orbit becomes one output.
        orbit_chunk_size (`int`, *optional*):
            The members of each orbit that go through the base at once; by default all.
        hf_equi_version (`str`, *optional*):
            The version that wrote the config; by default this one.
        format_version (`int`, *optional*, defaults to 1):
            The format of the config itself. Older formats are read unchanged, newer ones with a warning.
        stores_base (`bool`, *optional*, defaults to `True`):
            Whether the checkpoint holds the base's weights. Otherwise they are loaded from `base_name`.
        base_name (`str`, *optional*):
            The base's name on the Hub.
        base_revision (`str`, *optional*):
            The commit of the base on the Hub.
        adapter (`dict`, *optional*):
            The adapter of peft in the base, by name and settings; noted when the model is saved.

    Raises:
        ConfigurationError: For an unknown method or setting, or a chunk that is not an integer of 1 or more.
    """

    group_class: ClassVar[Any] = FiniteGroup
    """The class of the groups that act on such models, or several."""
    method_settings: ClassVar[tuple[str, ...]] = ("method",)
    """The entries from which the method is made."""

    base_config: PreTrainedConfig | dict[str, Any] | None = None
    group: dict[str, Any] | None = None
    method: str = "equitune"
    orbit_chunk_size: int | None = None
    hf_equi_version: str | None = None
    format_version: int = FORMAT
    stores_base: bool = True
    base_name: str | None = None
    base_revision: str | None = None
    adapter: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if isinstance(self.base_config, PreTrainedConfig):
            # A config resets the attention of its parts, but the base's own setting must not change.
            self.base_config = copy.deepcopy(self.base_config)
            kwargs.setdefault("attn_implementation", self.base_config._attn_implementation)
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        self.hf_equi_version = self.hf_equi_version or __version__
        self._check_format()
        self._read_base()
        self._check()

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Return the config that a dictionary describes, as in transformers.

        Raises:
            HfEquiError: If it does not describe a config. The message names the place that it was read from.
        """
        where = kwargs.get("name_or_path")
        with reading(f"The {CONFIG_NAME} of {where}" if where else f"A config of the type {cls.model_type!r}", AGAIN):
            return super().from_dict(config_dict, **kwargs)

    def _check_format(self) -> None:
        check_count("format_version", self.format_version, "format of a config")
        if self.format_version > FORMAT:
            warnings.warn(
                f"The config of this {self.model_type!r} model has format {self.format_version}, written by hf_equi "
                f"{self.hf_equi_version}. This is hf_equi {__version__}, which knows formats up to {FORMAT}: new "
                "entries have no effect, and outputs may differ. Upgrade: pip install --upgrade hf_equi",
                HfEquiWarning,
                stacklevel=2,
            )

    def _read_base(self) -> None:
        """Copy the entries that tools look for in the outer config: by default none."""

    def name_classes(self) -> None:
        """Copy to the base's config what tools set in the outer one: by default nothing."""

    def follow_base(self) -> None:
        """Copy what a given base defines itself: by default nothing."""

    def to_diff_dict(self) -> dict[str, Any]:
        """Return what is stored. For a base that was loaded from a folder, its place on this machine is left out."""
        stored: dict[str, Any] = super().to_diff_dict()
        base = stored.get("base_config") or {}
        name = base.get("_name_or_path") or ""
        if not _may_be_on_the_hub(name):
            base["_name_or_path"] = ""
        return stored

    @property
    def has_group(self) -> bool:
        """Whether there is a group; only a config made by hand has none."""
        return self.group is not None

    def read_group(self) -> Any:
        """Return the group, of any kind.

        Raises:
            GroupError: If the stored group is not a group, or does not act on such models.
        """
        group = _read_once(self.group or {})
        if not isinstance(group, self.group_class):
            raise GroupError(
                f"The group of an {self.model_type!r} model must be of the class {class_names(self.group_class)}; "
                f"the config holds {group!r}. Symmetrize the base again."
            )
        return group

    def _check(self) -> None:
        self.create_method()
        loaders = getattr(self, "auto_map", None) or {}
        if not (isinstance(loaders, dict) and all(isinstance(name, str) for name in loaders.values())):
            raise ConfigurationError(f"auto_map does not name a class for each Auto class: {loaders!r}. {AGAIN}")
        if self.orbit_chunk_size is not None:
            check_count("orbit_chunk_size", self.orbit_chunk_size, "number of orbit members", ", or None for all")

    @abstractmethod
    def create_method(self) -> Method:
        """Make the method with its settings.

        Raises:
            ConfigurationError: For an unknown method (the message lists the known ones) or setting.
        """


def entries_of(config: EquiConfig) -> dict[str, Any]:
    """Return the entries of a config. Asked for one of them, a config of transformers takes as long as a layer."""
    if torch.compiler.is_compiling():  # which follows no other way
        return vars(config)
    entries: dict[str, Any] = object.__getattribute__(config, "__dict__")
    return entries


def method_key(config: EquiConfig) -> tuple[Any, ...]:
    """Return the settings from which a config makes its method."""
    return tuple(map(entries_of(config).__getitem__, type(config).method_settings))


def class_names(classes: Any) -> str:
    """Return a class, or several, by name.

    Example:
        >>> class_names((int, float, str)), class_names(int)
        ('int, float or str', 'int')
    """
    *others, last = [one.__name__ for one in (classes if isinstance(classes, tuple) else (classes,))]
    return f"{', '.join(others)} or {last}" if others else last


def _read_once(content: Any) -> Any:
    """Return the group that a stored one describes. It is checked once for the same content: a load asks often."""
    probe = torch.empty(0, device="cpu")
    try:
        text = json.dumps(content)
    except (TypeError, ValueError):  # what is not JSON is not a group; reading it says why
        return read_group(content)
    # Tables that are made for a trace or in inference mode must not reach other models.
    plain = type(probe) is torch.Tensor and not probe.is_inference()
    return _with_own_tables(_read_text(text)) if plain else read_group(content)


def _with_own_tables(group: Any) -> Any:
    """Return a group that shares no tensor with another, so that nothing done to its tables reaches other models."""
    own = copy.copy(group)
    vars(own).update({name: table.clone() for name, table in vars(group).items() if isinstance(table, torch.Tensor)})
    return own


@lru_cache(maxsize=16)
def _read_text(text: str) -> Any:
    return read_group(json.loads(text))


def _may_be_on_the_hub(name: str) -> bool:
    """Return whether a name is that of a repository, and not of a local folder, which may have been deleted since."""
    try:
        validate_repo_id(name)
    except ValueError:
        return False
    return not Path(name).exists()
