"""How a wrapped model is saved and loaded: with what prepares its inputs, with or without the base's weights."""

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
# Older versions of transformers choose a pickle by the second one; safetensors are written whatever its value.
_SAVE = inspect.signature(PreTrainedModel.save_pretrained)
_SAVE_KEYWORDS = {"save_base", "safe_serialization", *_SAVE.parameters}


class CheckpointMixin(InstalledClass, LoadingMixin):
    """What wrapped models add to `PreTrainedModel` for their base and for what prepares their inputs."""

    card_kind: ClassVar[CardKind]
    """What the model card says depending on the task."""
    model_tags: ClassVar[list[str]] = [*TAGS]
    """The tags that a `Trainer` gives to its draft of a card."""
    base: PreTrainedModel
    config: Any
    generation_config: Any
    _loaded_base: dict[str, Any] | None
    _peft_base: tuple[Any, ...]

    def unwrap(self) -> Any:
        """Return the base model, the same object; if the model was made of a `PeftModel`, return that."""
        return self._peft_base[0] if self._peft_base else self.base

    def save_base_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Save only the base, as a checkpoint of its own class, with what prepares its inputs.

        If the base is a `PeftModel`, its adapter is saved, as peft does.

        Raises:
            ConfigurationError: For an unmerged adapter on the symmetrised model; for `push_to_hub`.
        """
        if kwargs.get("push_to_hub"):
            raise ConfigurationError(
                "save_base_pretrained(push_to_hub=True) would upload the base before the files that prepare its "
                "inputs are saved. Save without push_to_hub, then upload the folder: hf upload user/name "
                f"{save_directory}"
            )
        noted_adapters(self)
        folder, writes = Path(save_directory), _writes(kwargs)
        with self._place(folder, kwargs) as place:
            if self._peft_base:
                kwargs["is_main_process"] = writes  # peft does not check which of several processes this is
                if place != folder and (folder / REPOCARD_NAME).is_file():  # peft extends an existing card
                    shutil.copyfile(folder / REPOCARD_NAME, place / REPOCARD_NAME)
            self.unwrap().save_pretrained(place, **kwargs)
            if writes:
                self._save_companions(place)

    def _save_companions(self, folder: Path) -> None:
        """Save what prepares the model's inputs: by default nothing."""

    def companion_files(self) -> tuple[str, ...]:
        """Return the names of the files in a checkpoint that prepare the model's inputs."""
        with tempfile.TemporaryDirectory() as folder:
            self._save_companions(Path(folder))
            return list_files(Path(folder))

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *args: Any, save_base: bool = True, **kwargs: Any
    ) -> None:
        """Save weights, config, generation config and what prepares inputs.

        The files are written to a new folder first, and moved to their place once all of them exist. So a save that
        fails or is stopped leaves the earlier files in place. It needs space for both.

        Args:
            save_directory: The folder to save to.
            *args: As in transformers.
            save_base: `False` stores no weights, only the base's name and revision on the Hub, from where
                `from_pretrained` loads them. This works for bases that `symmetrize` loaded by name and that are
                unchanged.
            **kwargs: As in transformers. With `push_to_hub=True` also the arguments of `push_to_hub`, and `repo_id`,
                by default the folder's name. The folder then also gets the card. Only files that this call writes are
                uploaded, not other files in the folder.

        Raises:
            ConfigurationError: For `save_base=False` and a base that `symmetrize` has not loaded from the Hub, or that
                was trained since; for weights of which each process holds a part (FSDP), without `state_dict`; if
                writing fails, for example because the disk is full; with `push_to_hub=True` as in `push_to_hub`.
            PublishingError: As in `push_to_hub`.
        """
        # By name, because the following code asks for some of them.
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
        """Upload the model with what prepares its inputs and a card, in one commit.

        The card's facts are measured or read (see `hf_equi.hub.write_card`). Everything is checked and written before
        the Hub is contacted. If several processes call this, the first one uploads.

        Args:
            repo_id: The repository, `user/name`, or `name` for one of your own; created if it does not exist.
            audit: The folder of an audit of this model, whose figures go into the card.
            license: The licence, in the Hub's spelling; by default that of the base's own card.
            tags: More tags for the card.
            **kwargs: As in transformers: `commit_message`, `commit_description`, `private`, `token`, `revision`,
                `create_pr`, and the arguments of `save_pretrained`, such as `max_shard_size` and `save_base=False`.

        Returns:
            The commit; as text, its URL. `None` in a process that does not upload.

        Raises:
            ConfigurationError: For an audit of something else, a model without its tokenizer, and as in
                `save_pretrained`.
            TypeError: For an unknown argument: a misspelt `private` would publish to everyone.
            PublishingError: If the upload fails. The message says what state the repository is in.
        """
        with tempfile.TemporaryDirectory() as folder:
            about: dict[str, Any] = {"audit": audit, "license": license, "tags": tags}
            return self._save_and_push(Path(folder), repo_id=repo_id, **about, **kwargs)

    def _save_and_push(self, folder: Path, *, repo_id: str | None = None, **kwargs: Any) -> CommitInfo | None:
        """Save to a folder, with a card, and upload it. If there are several processes, one of them does it."""
        hub = {name: kwargs.pop(name) for name in HUB_KEYWORDS if name in kwargs}
        about: dict[str, Any] = {name: kwargs.pop(name) for name in ("audit", "license", "tags") if name in kwargs}
        if unknown := sorted(kwargs.keys() - _SAVE_KEYWORDS):
            raise TypeError(f"Nothing is published: unknown arguments {', '.join(unknown)}")
        repo_id = repo_id or folder.absolute().name
        check_repo_id(repo_id)
        self._check_before_saving(folder, kwargs)
        about["token"] = hub.get("token")
        card = self.make_card(folder / REPOCARD_NAME, kwargs.get("save_base", True), repo_id=repo_id, **about)
        files = self.save_with_card(folder, card, **kwargs)
        # Without weights, the upload would delete those of the repository.
        return upload(folder, files, repo_id, **hub) if _writes(kwargs) else None

    def save_with_card(self, folder: Path, card: str, **kwargs: Any) -> tuple[str, ...]:
        """Save as `save_pretrained` does, and add a card.

        Args:
            folder: The folder to save to.
            card: The text of the card.
            **kwargs: As in `save_pretrained`, without the arguments about the Hub.

        Returns:
            The names of the files: none if another process writes them.

        Raises:
            ConfigurationError: As in `save_pretrained`.
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
        """Return the text of the model's card.

        Args:
            before: The card that already exists, if any. Text that a `Trainer` wrote and the licence are kept from it.
            save_base: Whether the checkpoint has the base's weights.
            **about: As in `hf_equi.models.cards.writing.make_card`.

        Raises:
            ConfigurationError: If the card that exists was written by others; for an audit of something else; for a
                model without its tokenizer; for a model that refers to something others cannot load.
        """
        self._update_config()
        if about.get("repo_id") is not None:
            self._check_public()
        return make_card(self, previous=read_previous(before), stores_base=save_base, **about)

    def _check_before_saving(self, folder: Path, kwargs: dict[str, Any]) -> None:
        """Refuse a model that cannot be saved, before anything is written."""
        if os.path.isfile(folder):
            raise ConfigurationError(f"{folder} is a file: name a folder to save to")
        self._check_whole(kwargs)
        if not kwargs.get("save_base", True):
            self._require_hub_base()
        self._check_unchanged()

    def _place(self, folder: Path, kwargs: dict[str, Any]) -> AbstractContextManager[Path]:
        """Choose where to write the files of a folder: beside it, unless other processes write there too."""
        together = kwargs.get("distributed_checkpoint") or getattr(self.config, "distributed_config", None) is not None
        if not together and _writes(kwargs):
            return staged(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return nullcontext(folder)

    def _save(self, folder: Path, *, save_base: bool = True, **kwargs: Any) -> None:
        """Write to an existing folder. If there are several processes, one writes, except for parts of weights."""
        self._update_config()
        made = {"AutoConfig": type(self.config).__name__, **self._made_by_auto_classes()}
        self.config.auto_map = {auto_class: f"{Path(LOADER).stem}.{name}" for auto_class, name in made.items()}
        if not self.base.config.architectures:  # saving the base notes it, because some configs have two classes
            self.base.config.architectures = [type(self.base).__name__]
        if _writes(kwargs):
            loader = _loader(type(self).__module__, sorted({*made.values()}))
            (folder / LOADER).write_text(loader, encoding="utf-8")
            self._save_companions(folder)
        if save_base:
            # In the model's own names: transformers would write older ones, which a resuming Trainer does not know.
            kwargs = {"save_original_format": False, **kwargs}
            super().save_pretrained(folder, **kwargs)  # type: ignore[misc]
        elif _writes(kwargs):
            self._save_without_base(folder)

    def _made_by_auto_classes(self) -> dict[str, str]:
        """Return the name of the class that each Auto class makes of a checkpoint of this model."""
        own = type(self).__name__
        known = (place.models for place in places() if place.model_type == self.config.model_type)
        return next((models for models in known if own in models.values()), {self.auto_class.__name__: own})

    def _update_config(self) -> None:
        """Note in the config whatever may have changed since the model was made."""
        self.config.adapter = describe_adapter(self)

    def _check_unchanged(self) -> None:
        """Refuse to write a checkpoint that could not be loaded again."""

    def _check_whole(self, kwargs: dict[str, Any]) -> None:
        """Refuse to save weights if each process holds only a part of them."""
        if kwargs.get("state_dict") is None and is_sharded(self):  # type: ignore[arg-type]
            raise ConfigurationError(
                "Each process holds a part of the weights (FSDP), so none can save them alone: use "
                "trainer.save_model(folder), or model.save_pretrained(folder, "
                "is_main_process=accelerator.is_main_process, state_dict=accelerator.get_state_dict(model))"
            )

    def _check_public(self) -> None:
        """Refuse to publish a model that could not be loaded elsewhere."""

    def _require_hub_base(self) -> None:
        if self.config.base_name is None or self.config.base_revision is None:
            raise ConfigurationError(
                "save_base=False (--no-base) stores the base by its name and revision on the Hub, but symmetrize did "
                f"not load this base from there (name_or_path={getattr(self.base.config, '_name_or_path', '')!r}). "
                "Save the whole model, or wrap the base by its name: symmetrize(name, group)."
            )
        # Buffers too, such as the features of texts that a canonicalizer compares with.
        inside = {id(tensor) for tensor in self.base.state_dict(keep_vars=True).values()}
        stored: dict[str, Any] = self.state_dict(keep_vars=True)  # type: ignore[attr-defined]
        if own := [name for name, tensor in stored.items() if id(tensor) not in inside]:
            raise ConfigurationError(
                "save_base=False stores no weights, but this model has weights besides its base's, those of the "
                f"method {self.config.method!r} ({own[0]}). Save the whole model."
            )
        if self._loaded_base is None or weights_changed(self.base, self._loaded_base):
            raise ConfigurationError(
                f"save_base=False stores the base by its name, {self.config.base_name!r}, but its weights have "
                "changed since they were loaded, or the name alone does not lead to them (a new head, subfolder=, "
                "variant=). Save the whole model."
            )

    def remember_base(self) -> None:
        """Note that the base is unchanged since it was loaded from the Hub."""
        self._loaded_base = mark_weights(self.base)

    def _save_without_base(self, folder: Path) -> None:
        config = copy.deepcopy(self.config)
        config.stores_base = False
        config.architectures = [type(self).__name__]
        config.save_pretrained(folder)
        if self.can_generate():  # type: ignore[attr-defined]
            self.generation_config.save_pretrained(folder)


def _writes(kwargs: Mapping[str, Any]) -> bool:
    """Return whether this is the one of several processes that writes what all of them save."""
    first = not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0
    return first and bool(kwargs.get("is_main_process", True))


def _loader(module: str, names: list[str]) -> str:
    """Return the text of the module that a checkpoint contains.

    Args:
        module: The module of the model's class.
        names: The classes that the Auto classes make.
    """
    package = "hf_equi" if module.startswith("hf_equi.") else module
    quoted = ", ".join(f'"{name}"' for name in names)
    return _LOADER_TEXT.format(package=package, root=package.split(".")[0], names=", ".join(names), quoted=quoted)
