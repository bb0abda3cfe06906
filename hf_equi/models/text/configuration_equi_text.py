"""The base of the configurations of symmetrised models of text."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.text.tokenizer_state import Fingerprints, Later

__all__ = ["Entry", "EquiTextConfig"]

_HASHES = ("tokenizer_fingerprint", "tokenizer_cut_fingerprint")


class Entry:
    """An entry of a config that may be computed when it is first read.

    Args:
        name: Its name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, config: Any, owner: type | None = None) -> Any:
        """Return its value; of the class, the default."""
        found = None if config is None else config.__dict__.get(self._name)
        return found.value() if isinstance(found, Later) else found

    def __set__(self, config: Any, value: Any) -> None:
        """Set its value."""
        config.__dict__[self._name] = value


@strict
class EquiTextConfig(EquiConfig):
    r"""A base config, a group in words, the tokens that stand for those words, and a method.

    Args:
        tokenizer_fingerprint (`str`, *optional*):
            Hash of the tokenizer that the map was made with (`hf_equi.models.text.fingerprint`).
        tokenizer_cut_fingerprint (`str`, *optional*):
            Hash of how that tokenizer cuts texts. Configs of hf_equi 0.1 have none.
        tokenizer_seal (`str`, *optional*):
            Hash of the files of that tokenizer in the checkpoint, of its settings and of the releases that read it
            (`hf_equi.models.text.tokenizer_state`); noted when the model is saved.
        average (`str`, *optional*, defaults to `"logits"`):
            What equi-tuning averages: `"logits"` or `"probabilities"`.
        multi_token (`str`, *optional*, defaults to `"auto"`):
            How to treat words that are not one token, also for `generate(group=...)`: `"error"` refuses them, `"skip"`
            lets them stay, with a warning, and `"auto"` does this for the words of presets only. `EquiLMConfig` also
            has `"compose"`.
        base_config, group, method, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`; the group as `DemographicGroup.to_dict` gives it.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiConfig`, and for a relaxed group with a method that has no relaxed variant, or a
            map for another vocabulary.
        ActionError: For a map that is not a permutation.
    """

    map_names: ClassVar[tuple[str, ...]] = ()
    """The entries that hold token maps."""

    group_class: ClassVar[type] = DemographicGroup
    method_settings: ClassVar[tuple[str, ...]] = ("method", "average")

    tokenizer_fingerprint: str | None = None
    tokenizer_cut_fingerprint: str | None = None
    tokenizer_seal: str | None = None
    average: str = "logits"
    multi_token: str = "auto"
    vocab_size: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    hidden_size: int | None = None
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    tie_word_embeddings: bool = True

    def note_tokenizer(self, fingerprints: Fingerprints, side: str = "") -> None:
        """Note the fingerprints of the tokenizer that the map was made with. They are computed when they are needed.

        Args:
            fingerprints: The fingerprints.
            side: What the names of the entries begin with: nothing, or `"target_"`.
        """
        for name, entry in zip(_HASHES, fingerprints.entries(), strict=True):
            self.__dict__[side + name] = entry

    def _read_base(self) -> None:
        """Copy the entries that tools look for in the outer config."""
        text = self.get_text_config()
        self.vocab_size = text.vocab_size
        self.tie_word_embeddings = bool(getattr(text, "tie_word_embeddings", False))
        sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads")
        for name in ("bos_token_id", "eos_token_id", "pad_token_id", *sizes):
            setattr(self, name, getattr(text, name, None))

    @property
    def has_group(self) -> bool:
        """Whether there is a group with its tokens; only a config made by hand has none."""
        return self.group is not None and all(getattr(self, name) is not None for name in self.map_names)

    def _check(self) -> None:
        super()._check()
        if self.group is None:
            return
        group = self.read_group()
        if group.relaxed and not self.create_method().relaxable:
            raise ConfigurationError(
                f"The method {self.method!r} has no relaxed variant: it moves whole texts, so neutral and general "
                'words make no difference. Use method="equitune", or a group without neutral= and general=.'
            )
        if self.has_group:
            self._check_maps(group)

    @abstractmethod
    def _check_maps(self, group: DemographicGroup) -> None:
        """Refuse token maps that do not fit the group or the base."""

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> PreTrainedConfig:
        """Return the base's config, in which `generate` and caches look for layers and heads."""
        base: Any = self.base_config
        text: PreTrainedConfig = base.get_text_config(decoder=decoder, encoder=encoder)
        return text

    @property
    def max_position_embeddings(self) -> int | None:
        """The base's."""
        return getattr(self.get_text_config(), "max_position_embeddings", None)


for _name in _HASHES:  # after the class is made, because its entries are dataclass fields
    setattr(EquiTextConfig, _name, Entry(_name))
