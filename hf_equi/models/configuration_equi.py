"""What the configurations of all symmetrised models have in common."""

from __future__ import annotations

import copy
from abc import abstractmethod
from importlib.metadata import version
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup
from hf_equi.symmetrizers import Symmetrizer

__all__ = ["EquiConfig"]


@strict
class EquiConfig(PreTrainedConfig):
    r"""A base config, a group in words, the tokens that stand for them, and a method: the part that tasks share.

    Args:
        base_config (`PreTrainedConfig` or `dict`, *optional*):
            Configuration of the base model.
        group (`dict`, *optional*):
            The group, as `DemographicGroup.to_dict` gives it.
        tokenizer_fingerprint (`str`, *optional*):
            Of the tokenizer that the map was made with (`hf_equi.models.fingerprint`).
        method (`str`, *optional*, defaults to `"equitune"`):
            How an orbit becomes one output.
        average (`str`, *optional*, defaults to `"logits"`):
            What equi-tuning averages: `"logits"` or `"probabilities"`.
        multi_token (`str`, *optional*, defaults to `"error"`):
            What to do with words that are not one token, also for `generate(group=...)`: `"error"` or `"skip"`.
        orbit_chunk_size (`int`, *optional*):
            Members of each orbit that go through the base at once; by default all.
        hf_equi_version (`str`, *optional*):
            The version that wrote the config; by default this one.
        stores_base (`bool`, *optional*, defaults to `True`):
            Whether the checkpoint holds the base's weights. Otherwise they are loaded from `base_name`.
        base_name (`str`, *optional*):
            The base's name on the Hub.
        base_revision (`str`, *optional*):
            The base's revision there.

    Raises:
        ConfigurationError: For an unknown method or setting, a chunk below 1, a relaxed group with a method that has
            no relaxed variant, a map for another vocabulary.
        ActionError: For a map that is no permutation.
    """

    map_names: ClassVar[tuple[str, ...]] = ()
    """The entries that hold token maps."""

    base_config: PreTrainedConfig | dict[str, Any] | None = None
    group: dict[str, Any] | None = None
    tokenizer_fingerprint: str | None = None
    method: str = "equitune"
    average: str = "logits"
    multi_token: str = "error"
    orbit_chunk_size: int | None = None
    hf_equi_version: str | None = None
    stores_base: bool = True
    base_name: str | None = None
    base_revision: str | None = None
    vocab_size: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        if isinstance(self.base_config, PreTrainedConfig):
            # A config resets the attention of its parts; the base's own must stay as it is.
            self.base_config = copy.deepcopy(self.base_config)
            kwargs.setdefault("attn_implementation", self.base_config._attn_implementation)
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        self.hf_equi_version = self.hf_equi_version or version("hf_equi")
        self._read_base()
        self._check()

    def _read_base(self) -> None:
        """Take over what tools look for in the outer config."""
        text = self.get_text_config()
        self.vocab_size = text.vocab_size
        self.tie_word_embeddings = bool(getattr(text, "tie_word_embeddings", False))
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            setattr(self, name, getattr(text, name, None))

    @property
    def has_group(self) -> bool:
        """Whether there is a group with its tokens: a config without is one that was made by hand."""
        return self.group is not None and all(getattr(self, name) is not None for name in self.map_names)

    def _check(self) -> None:
        method = self.create_method()
        chunk = self.orbit_chunk_size
        if chunk is not None and chunk < 1:
            raise ConfigurationError(
                f"orbit_chunk_size={self.orbit_chunk_size} is no number of orbit members: use 1 or more, or None for "
                "all"
            )
        if self.group is None:
            return
        group = DemographicGroup.from_dict(self.group)
        if group.relaxed and not method.relaxable:
            raise ConfigurationError(
                f"The method {self.method!r} has no relaxed variant: it moves whole texts, so neutral and general "
                'words make no difference to it. Use method="equitune", or a group without neutral= and general=.'
            )
        if self.has_group:
            self._check_maps(group)

    @abstractmethod
    def _check_maps(self, group: DemographicGroup) -> None:
        """Refuse token maps that do not fit the group or the base."""

    @abstractmethod
    def create_method(self) -> Symmetrizer:
        """The method with its settings.

        Raises:
            ConfigurationError: For an unknown method (the message lists the known ones) or setting.
        """

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> PreTrainedConfig:
        """The base's, where `generate` and caches look for layers and heads."""
        base: Any = self.base_config
        text: PreTrainedConfig = base.get_text_config(decoder=decoder, encoder=encoder)
        return text

    @property
    def max_position_embeddings(self) -> int | None:
        """The base's."""
        return getattr(self.get_text_config(), "max_position_embeddings", None)
