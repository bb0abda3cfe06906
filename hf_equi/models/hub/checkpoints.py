"""Saving and loading a wrapped model: with what prepares its inputs, with or without the base's weights."""

from __future__ import annotations

import copy
import inspect
import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from huggingface_hub import CommitInfo
from huggingface_hub.constants import REPOCARD_NAME
from transformers import PreTrainedModel

from hf_equi.auto_classes import places
from hf_equi.bases.chunks import is_sharded
from hf_equi.bases.loading import load_safetensors, require_safetensors
from hf_equi.bases.weight_marks import mark_weights, weights_changed
from hf_equi.errors import ConfigurationError
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.cards.writing import TAGS, make_card, read_previous
from hf_equi.models.hub.uploading import HUB_KEYWORDS, list_files, upload
from hf_equi.models.peft.bases import describe_adapter, noted_adapters

__all__ = ["CheckpointMixin"]

LOADER = "import_hf_equi.py"
"""The module that lets the Auto classes load a checkpoint before `import hf_equi`, with `trust_remote_code=True`."""
_LOADER_TEXT = '''\
"""This checkpoint needs the package {root}: `pip install {root}`, then `import {root}` first."""

import sys
import warnings

if "{root}" not in sys.modules:
    warnings.warn(
        "This is a checkpoint of {root}: run `import {root}` before loading it, and trust_remote_code is not needed",
        stacklevel=2,
    )

try:
    from {package} import {names}
except ModuleNotFoundError as error:
    raise ImportError("This checkpoint needs {root}: run `pip install {root}`, then `import {root}`") from error

__all__ = [{quoted}]
'''
# The second is what older versions of transformers chose a pickle by; safetensors are written whatever it says.
_SAVE_KEYWORDS = {"save_base", "safe_serialization", *inspect.signature(PreTrainedModel.save_pretrained).parameters}
_HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")
# What names a place in the repository of the checkpoint, and would be looked for in vain in that of its base; the Auto
# classes put the checkpoint's commit into those for adapters too.
_OF_ONE_REPOSITORY = ("_commit_hash", "adapter_kwargs", "revision", "subfolder")


class CheckpointMixin:
    """What wrapped models add to `PreTrainedModel` for their base and for what prepares their inputs."""

    auto_class: ClassVar[Any]
    card_kind: ClassVar[CardKind]
    """What its model card says that depends on the task."""
    model_tags: ClassVar[list[str]] = [*TAGS]
    """Those that a `Trainer` gives its draft of a card."""
    base: PreTrainedModel
    config: Any
    generation_config: Any
    _loaded_base: dict[str, Any] | None
    _peft_base: tuple[Any, ...]
    own_arguments: ClassVar[tuple[str, ...]] = ()
    """What `from_pretrained` hands to the model itself, and not to its base."""

    def unwrap(self) -> Any:
        """The base model, the same object; of a model that was made of a `PeftModel`, that one."""
        return self._peft_base[0] if self._peft_base else self.base

    def save_base_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Save the base alone, as a checkpoint of its own class, with what prepares its inputs.

        Of a `PeftModel` its adapter is saved, as peft does.

        Raises:
            ConfigurationError: For an adapter that was put on the symmetrised model and not merged.
        """
        noted_adapters(self)
        self.unwrap().save_pretrained(save_directory, **kwargs)
        self._save_companions(Path(save_directory))

    def _save_companions(self, folder: Path) -> None:
        """Save what prepares the inputs of the model: nothing, by default."""

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *args: Any, save_base: bool = True, **kwargs: Any
    ) -> None:
        """Save weights, config, generation config and what prepares inputs.

        Args:
            save_directory: Where to.
            *args: As in transformers.
            save_base: `False` stores no weights, only the base's name and revision on the Hub, from where
                `from_pretrained` loads them. It is for bases as they were loaded, by name, through `symmetrize`.
            **kwargs: As in transformers. With `push_to_hub=True` what `push_to_hub` takes too, and `repo_id`, by
                default the folder's name; the folder gets the card, and all of it that is a checkpoint's goes out.

        Raises:
            ConfigurationError: For `save_base=False` and a base that `symmetrize` has not loaded from the Hub, or
                that was trained since; for weights of which each process holds a part (FSDP), without `state_dict`;
                with `push_to_hub=True` as `push_to_hub`.
            PublishingError: As `push_to_hub`.
        """
        if kwargs.pop("push_to_hub", False) and kwargs.get("is_main_process", True):
            self._save_and_push(Path(save_directory), *args, save_base=save_base, **kwargs)
        else:
            self._save(Path(save_directory), *args, save_base=save_base, **kwargs)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        audit: str | os.PathLike[str] | dict[str, Any] | None = None,
        license: str | None = None,
        tags: list[str] | str | None = None,
        **kwargs: Any,
    ) -> CommitInfo:
        """Upload the model with what prepares its inputs and a card, by one commit.

        The card's facts are measured or read (see `hf_equi.hub.write_card`). Everything is checked and written before
        the Hub is asked for anything.

        Args:
            repo_id: The repository, `user/name`, or `name` for one's own; made where there is none.
            audit: The folder of an audit of this model, whose figures go into the card.
            license: The licence, as the Hub spells it; by default that of the base's own card.
            tags: More tags of the card.
            **kwargs: As in transformers: `commit_message`, `commit_description`, `private`, `token`, `revision`,
                `create_pr`, and what `save_pretrained` takes, as `max_shard_size` and `save_base=False`.

        Returns:
            The commit, as text its URL.

        Raises:
            ConfigurationError: For an audit of something else, a model without its tokenizer, and as
                `save_pretrained`.
            TypeError: For an argument that there is not: a misspelt `private` would publish to all.
            PublishingError: If the upload does not go through. The message says what state the repository is in.
        """
        with tempfile.TemporaryDirectory() as folder:
            about: dict[str, Any] = {"audit": audit, "license": license, "tags": tags}
            return self._save_and_push(Path(folder), repo_id=repo_id, **about, **kwargs)

    def _save_and_push(self, folder: Path, *args: Any, repo_id: str | None = None, **kwargs: Any) -> CommitInfo:
        """Save to a folder, with a card, and upload it."""
        if folder.is_file():
            raise ConfigurationError(f"{folder} is a file: name a folder to save to")
        hub = {name: kwargs.pop(name) for name in HUB_KEYWORDS if name in kwargs}
        about: dict[str, Any] = {name: kwargs.pop(name) for name in ("audit", "license", "tags") if name in kwargs}
        if unknown := sorted(kwargs.keys() - _SAVE_KEYWORDS):
            raise TypeError(f"Nothing is published: there are no arguments {', '.join(unknown)}")
        repo_id = repo_id or folder.absolute().name
        save_base = kwargs.get("save_base", True)
        self._check_whole(kwargs)
        if not save_base:
            self._require_hub_base()
        self._check_unchanged()
        about["token"] = hub.get("token")
        card = self.make_card(folder / REPOCARD_NAME, save_base, repo_id=repo_id, **about)
        self._save(folder, *args, **kwargs)
        (folder / REPOCARD_NAME).write_text(card, encoding="utf-8")
        return upload(folder, list_files(folder), repo_id, **hub)

    def make_card(self, before: Path, save_base: bool = True, **about: Any) -> str:
        """The text of the model's card.

        Args:
            before: The card that is there, if any, of which what a `Trainer` wrote and the licence are kept.
            save_base: Whether the checkpoint has the base's weights.
            **about: As `hf_equi.models.cards.writing.make_card`.

        Raises:
            ConfigurationError: For a card that is there and that others wrote; for an audit of something else; for a
                model without its tokenizer; for a model that names what others cannot load.
        """
        self._update_config()
        if about.get("repo_id") is not None:
            self._check_public()
        return make_card(self, previous=read_previous(before), stores_base=save_base, **about)

    def _save(self, folder: Path, *args: Any, save_base: bool = True, **kwargs: Any) -> None:
        self._check_whole(kwargs)
        if not save_base:
            self._require_hub_base()
        self._check_unchanged()
        self._update_config()
        folder.mkdir(parents=True, exist_ok=True)
        made = {"AutoConfig": type(self.config).__name__, **self._made_by_auto_classes()}
        self.config.auto_map = {auto_class: f"{Path(LOADER).stem}.{name}" for auto_class, name in made.items()}
        (folder / LOADER).write_text(_loader(type(self).__module__, sorted({*made.values()})), encoding="utf-8")
        if not self.base.config.architectures:  # as saving the base notes it: some configs have two classes
            self.base.config.architectures = [type(self.base).__name__]
        self._save_companions(folder)
        if save_base:
            # In the model's own names: a Trainer that resumes knows no older ones, which transformers would write.
            kwargs = {"save_original_format": False, **kwargs}
            super().save_pretrained(folder, *args, **kwargs)  # type: ignore[misc]
        else:
            self._save_without_base(folder)

    def _made_by_auto_classes(self) -> dict[str, str]:
        """The name of the class that each Auto class makes of a checkpoint of this model."""
        own = type(self).__name__
        known = (place.models for place in places() if place.model_type == self.config.model_type)
        return next((models for models in known if own in models.values()), {self.auto_class.__name__: own})

    def _update_config(self) -> None:
        """Note in the config what may have changed since the model was made."""
        self.config.adapter = describe_adapter(self)

    def _check_unchanged(self) -> None:
        """Refuse to write a checkpoint that could not be loaded again."""

    def _check_whole(self, kwargs: dict[str, Any]) -> None:
        """Refuse to save weights of which each process holds a part."""
        if kwargs.get("state_dict") is None and is_sharded(self):  # type: ignore[arg-type]
            raise ConfigurationError(
                "Each process holds a part of the weights (FSDP), so none can save them alone: use "
                "trainer.save_model(folder), or model.save_pretrained(folder, "
                "is_main_process=accelerator.is_main_process, state_dict=accelerator.get_state_dict(model))"
            )

    def _check_public(self) -> None:
        """Refuse to publish what could not be loaded elsewhere."""

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
        if self._loaded_base is None or weights_changed(self.base, self._loaded_base):
            raise ConfigurationError(
                f"save_base=False stores the base by its name, {self.config.base_name!r}, but its weights have "
                "changed since they were loaded. Save it whole."
            )

    def remember_base(self) -> None:
        """Note that the base is as it was loaded from the Hub."""
        self._loaded_base = mark_weights(self.base)

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
            ConfigurationError: If the checkpoint is of another model type, or holds no safetensors; if its tokenizer
                or the words of its group disagree with the stored permutation; for a group beside its own.
        """
        if "group" in kwargs:
            raise ConfigurationError(
                "group=: a checkpoint has a group of its own. Load it without, and symmetrize its base for another: "
                "hf_equi.symmetrize(model.unwrap(), group)."
            )
        hub = {name: kwargs[name] for name in _HUB_ARGUMENTS if name in kwargs}
        config = cls._read_config(pretrained_model_name_or_path, config, hub)
        settings = {*config.to_dict(), "num_labels"} - {"dtype", "group"}
        for name in [name for name in kwargs if name in settings]:
            setattr(config, name, kwargs.pop(name))
        config._check()
        companions = cls._load_companions(pretrained_model_name_or_path, config, hub)
        if config.stores_base:
            kwargs["use_safetensors"] = True  # no pickle is ever loaded
            if pretrained_model_name_or_path is not None:  # otherwise the weights are an argument
                require_safetensors(pretrained_model_name_or_path, kwargs.get("variant"), **hub)
            model = super().from_pretrained(pretrained_model_name_or_path, *args, config=config, **kwargs)  # type: ignore[misc]
        else:
            model = cls._load_through_base(pretrained_model_name_or_path, config, kwargs)
        loaded, information = model if isinstance(model, tuple) else (model, None)
        loaded.freeze_again()
        for name, companion in companions.items():
            setattr(loaded, name, companion)
        return loaded if information is None else (loaded, information)

    @classmethod
    def _load_companions(cls, path: Any, config: Any, hub: dict[str, Any]) -> dict[str, Any]:
        """What prepares inputs, checked, by the attributes that hold it: nothing, by default."""
        return {}

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
        passed = {name: value for name, value in kwargs.items() if name not in _OF_ONE_REPOSITORY}
        own = {name: passed.pop(name) for name in cls.own_arguments if name in passed}
        hub = {name: kwargs[name] for name in _HUB_ARGUMENTS if name in kwargs}
        base = load_safetensors(cls.auto_class, config.base_name, revision=config.base_revision, **passed)
        config.stores_base = True  # of the model in memory; `save_base=False` asks for it again
        model = cls(config, base, **own)  # type: ignore[call-arg]
        model.remember_base()
        if model.can_generate():  # type: ignore[attr-defined]
            model.generation_config = type(model.generation_config).from_pretrained(path, **hub)
        return model.eval()  # type: ignore[attr-defined]


def _loader(module: str, names: list[str]) -> str:
    """The text of the module that a checkpoint brings.

    Args:
        module: Of the class of the model.
        names: The classes that the Auto classes make.
    """
    package = "hf_equi" if module.startswith("hf_equi.") else module
    quoted = ", ".join(f'"{name}"' for name in names)
    return _LOADER_TEXT.format(package=package, root=package.split(".")[0], names=", ".join(names), quoted=quoted)
