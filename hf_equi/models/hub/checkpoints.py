"""Saving and loading a wrapped model: with what prepares its inputs, with or without the base's weights."""

from __future__ import annotations

import copy
import inspect
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

from huggingface_hub import CommitInfo
from huggingface_hub.constants import REPOCARD_NAME
from torch import distributed
from transformers import PreTrainedModel

from hf_equi.auto_classes import InstalledClass, places
from hf_equi.bases.chunks import is_sharded
from hf_equi.bases.weight_marks import mark_weights, weights_changed
from hf_equi.errors import ConfigurationError
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.cards.writing import TAGS, make_card, read_previous
from hf_equi.models.hub.contents import LOADER, list_files
from hf_equi.models.hub.loading import LoadingMixin
from hf_equi.models.hub.staging import staged
from hf_equi.models.hub.uploading import HUB_KEYWORDS, check_repo_id, upload
from hf_equi.models.peft.bases import describe_adapter, noted_adapters

__all__ = ["CheckpointMixin"]

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
_SAVE = inspect.signature(PreTrainedModel.save_pretrained)
_SAVE_KEYWORDS = {"save_base", "safe_serialization", *_SAVE.parameters}


class CheckpointMixin(InstalledClass, LoadingMixin):
    """What wrapped models add to `PreTrainedModel` for their base and for what prepares their inputs."""

    card_kind: ClassVar[CardKind]
    """What its model card says that depends on the task."""
    model_tags: ClassVar[list[str]] = [*TAGS]
    """Those that a `Trainer` gives its draft of a card."""
    base: PreTrainedModel
    config: Any
    generation_config: Any
    _loaded_base: dict[str, Any] | None
    _peft_base: tuple[Any, ...]

    def unwrap(self) -> Any:
        """The base model, the same object; of a model that was made of a `PeftModel`, that one."""
        return self._peft_base[0] if self._peft_base else self.base

    def save_base_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Save the base alone, as a checkpoint of its own class, with what prepares its inputs.

        Of a `PeftModel` its adapter is saved, as peft does.

        Raises:
            ConfigurationError: For an adapter that was put on the symmetrised model and not merged; for `push_to_hub`.
        """
        if kwargs.get("push_to_hub"):
            raise ConfigurationError(
                "save_base_pretrained(push_to_hub=True) would upload the base before what prepares its inputs is "
                f"saved. Save without it, then upload the folder: hf upload user/name {save_directory}"
            )
        noted_adapters(self)
        folder, writes = Path(save_directory), _writes(kwargs)
        with self._place(folder, kwargs) as place:
            if self._peft_base:
                kwargs["is_main_process"] = writes  # peft does not look which of several processes this is
                if place != folder and (folder / REPOCARD_NAME).is_file():  # which peft goes on with
                    shutil.copyfile(folder / REPOCARD_NAME, place / REPOCARD_NAME)
            self.unwrap().save_pretrained(place, **kwargs)
            if writes:
                self._save_companions(place)

    def _save_companions(self, folder: Path) -> None:
        """Save what prepares the inputs of the model: nothing, by default."""

    def companion_files(self) -> tuple[str, ...]:
        """The names of the files that prepare the inputs of the model in a checkpoint."""
        with tempfile.TemporaryDirectory() as folder:
            self._save_companions(Path(folder))
            return list_files(Path(folder))

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *args: Any, save_base: bool = True, **kwargs: Any
    ) -> None:
        """Save weights, config, generation config and what prepares inputs.

        The files are written to a new folder first and moved to their place once all are there. So a save that fails
        or is stopped leaves what was there before, and needs room for both.

        Args:
            save_directory: Where to.
            *args: As in transformers.
            save_base: `False` stores no weights, only the base's name and revision on the Hub, from where
                `from_pretrained` loads them. It is for bases as they were loaded, by name, through `symmetrize`.
            **kwargs: As in transformers. With `push_to_hub=True` what `push_to_hub` takes too, and `repo_id`, by
                default the folder's name. The folder gets the card too. What this call writes goes out, and nothing
                else that the folder holds.

        Raises:
            ConfigurationError: For `save_base=False` and a base that `symmetrize` has not loaded from the Hub, or
                that was trained since; for weights of which each process holds a part (FSDP), without `state_dict`;
                for what cannot be written, as where the disk is full; with `push_to_hub=True` as `push_to_hub`.
            PublishingError: As `push_to_hub`.
        """
        # By name, as what follows asks for some of them.
        named = _SAVE.bind(self, save_directory, *args, **kwargs).arguments
        kwargs = {**named.pop("kwargs", {}), **named}
        del kwargs["self"], kwargs["save_directory"]
        folder, kwargs["save_base"] = Path(save_directory), save_base
        if kwargs.pop("push_to_hub", False) and kwargs.get("is_main_process", True):
            self._save_and_push(folder, **kwargs)
            return
        self._check_before_saving(folder, kwargs)
        with self._place(folder, kwargs) as place:
            self._save(place, **kwargs)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        audit: str | os.PathLike[str] | dict[str, Any] | None = None,
        license: str | None = None,
        tags: list[str] | str | None = None,
        **kwargs: Any,
    ) -> CommitInfo | None:
        """Upload the model with what prepares its inputs and a card, by one commit.

        The card's facts are measured or read (see `hf_equi.hub.write_card`). Everything is checked and written before
        the Hub is asked for anything. Of several processes that call this the first uploads.

        Args:
            repo_id: The repository, `user/name`, or `name` for one's own; made where there is none.
            audit: The folder of an audit of this model, whose figures go into the card.
            license: The licence, as the Hub spells it; by default that of the base's own card.
            tags: More tags of the card.
            **kwargs: As in transformers: `commit_message`, `commit_description`, `private`, `token`, `revision`,
                `create_pr`, and what `save_pretrained` takes, as `max_shard_size` and `save_base=False`.

        Returns:
            The commit, as text its URL; `None` in a process that does not upload.

        Raises:
            ConfigurationError: For an audit of something else, a model without its tokenizer, and as
                `save_pretrained`.
            TypeError: For an argument that there is not: a misspelt `private` would publish to all.
            PublishingError: If the upload does not go through. The message says what state the repository is in.
        """
        with tempfile.TemporaryDirectory() as folder:
            about: dict[str, Any] = {"audit": audit, "license": license, "tags": tags}
            return self._save_and_push(Path(folder), repo_id=repo_id, **about, **kwargs)

    def _save_and_push(self, folder: Path, *, repo_id: str | None = None, **kwargs: Any) -> CommitInfo | None:
        """Save to a folder, with a card, and upload it. Of several processes one does."""
        hub = {name: kwargs.pop(name) for name in HUB_KEYWORDS if name in kwargs}
        about: dict[str, Any] = {name: kwargs.pop(name) for name in ("audit", "license", "tags") if name in kwargs}
        if unknown := sorted(kwargs.keys() - _SAVE_KEYWORDS):
            raise TypeError(f"Nothing is published: there are no arguments {', '.join(unknown)}")
        repo_id = repo_id or folder.absolute().name
        check_repo_id(repo_id)
        self._check_before_saving(folder, kwargs)
        about["token"] = hub.get("token")
        card = self.make_card(folder / REPOCARD_NAME, kwargs.get("save_base", True), repo_id=repo_id, **about)
        files = self.save_with_card(folder, card, **kwargs)
        # Without weights the upload would delete those of the repository.
        return upload(folder, files, repo_id, **hub) if _writes(kwargs) else None

    def save_with_card(self, folder: Path, card: str, **kwargs: Any) -> tuple[str, ...]:
        """Save as `save_pretrained` does, and a card.

        Args:
            folder: Where to.
            card: Its text.
            **kwargs: As in `save_pretrained`, but for what is about the Hub.

        Returns:
            The names of the files: none where another process writes them.

        Raises:
            ConfigurationError: As `save_pretrained`.
        """
        self._check_before_saving(folder, kwargs)
        if not _writes(kwargs):
            with self._place(folder, kwargs) as place:
                self._save(place, **kwargs)
            return ()
        with staged(folder) as new:
            self._save(new, **kwargs)
            (new / REPOCARD_NAME).write_text(card, encoding="utf-8")
            return list_files(new)

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

    def _check_before_saving(self, folder: Path, kwargs: dict[str, Any]) -> None:
        """Refuse what cannot be saved, before anything is written."""
        if os.path.isfile(folder):
            raise ConfigurationError(f"{folder} is a file: name a folder to save to")
        self._check_whole(kwargs)
        if not kwargs.get("save_base", True):
            self._require_hub_base()
        self._check_unchanged()

    def _place(self, folder: Path, kwargs: dict[str, Any]) -> AbstractContextManager[Path]:
        """Where to write what goes to a folder: beside it, unless other processes write there too."""
        together = kwargs.get("distributed_checkpoint") or getattr(self.config, "distributed_config", None) is not None
        if not together and _writes(kwargs):
            return staged(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return nullcontext(folder)

    def _save(self, folder: Path, *, save_base: bool = True, **kwargs: Any) -> None:
        """Write to a folder that is there. Of several processes one writes, but for parts of weights."""
        self._update_config()
        made = {"AutoConfig": type(self.config).__name__, **self._made_by_auto_classes()}
        self.config.auto_map = {auto_class: f"{Path(LOADER).stem}.{name}" for auto_class, name in made.items()}
        if not self.base.config.architectures:  # as saving the base notes it: some configs have two classes
            self.base.config.architectures = [type(self.base).__name__]
        if _writes(kwargs):
            loader = _loader(type(self).__module__, sorted({*made.values()}))
            (folder / LOADER).write_text(loader, encoding="utf-8")
            self._save_companions(folder)
        if save_base:
            # In the model's own names: a Trainer that resumes knows no older ones, which transformers would write.
            kwargs = {"save_original_format": False, **kwargs}
            super().save_pretrained(folder, **kwargs)  # type: ignore[misc]
        elif _writes(kwargs):
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
        if self.config.base_name is None or self.config.base_revision is None:
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
                "changed since they were loaded, or are not what this name alone gives (a new head, subfolder=, "
                "variant=). Save it whole."
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


def _writes(kwargs: Mapping[str, Any]) -> bool:
    """Whether this process is the one of several that writes what all of them save."""
    first = not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0
    return first and bool(kwargs.get("is_main_process", True))


def _loader(module: str, names: list[str]) -> str:
    """The text of the module that a checkpoint brings.

    Args:
        module: Of the class of the model.
        names: The classes that the Auto classes make.
    """
    package = "hf_equi" if module.startswith("hf_equi.") else module
    quoted = ", ".join(f'"{name}"' for name in names)
    return _LOADER_TEXT.format(package=package, root=package.split(".")[0], names=", ".join(names), quoted=quoted)
