"""The configuration of EquiLM."""

from __future__ import annotations

import copy
from importlib.metadata import version
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from hf_equi.actions.tokens import TokenMap
from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup
from hf_equi.models.causal_lm.methods import create
from hf_equi.symmetrizers import Symmetrizer

__all__ = ["EquiLMConfig"]


@strict
class EquiLMConfig(PreTrainedConfig):
    r"""Configuration of `EquiLM`: a base config, a group in words, and the tokens that stand for them.

    Args:
        base_config (`PreTrainedConfig` or `dict`, *optional*):
            Configuration of the base model; by default that of GPT-2.
        group (`dict`, *optional*):
            The group, as `DemographicGroup.to_dict` gives it.
        token_map (`dict`, *optional*):
            The tokens that the group moves, as `TokenMap.to_dict` gives them. Permutation tables are rebuilt from it.
        tokenizer_fingerprint (`str`, *optional*):
            Of the tokenizer that the map was made with (`hf_equi.models.causal_lm.fingerprint`).
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"mixture"`, `"canonical"` or `"identity"`.
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
        ConfigurationError: For an unknown method or average, a chunk below 1, a relaxed group with a method that has
            no relaxed variant, a map for another vocabulary.
        ActionError: For a map that is no permutation.

    Example:
        >>> EquiLMConfig(method="mixture").get_text_config().model_type
        'gpt2'
    """

    model_type = "equi_lm"
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["past_key_values", "chosen_element"]
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="gpt2")
    }

    searches: ClassVar[bool] = False
    """Whether texts come from a search over the orbit."""

    base_config: PreTrainedConfig | dict[str, Any] | None = None
    group: dict[str, Any] | None = None
    token_map: dict[str, Any] | None = None
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
        text = self.get_text_config()
        self.vocab_size = text.vocab_size
        self.tie_word_embeddings = bool(getattr(text, "tie_word_embeddings", False))
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            setattr(self, name, getattr(text, name, None))
        self._check()

    def _check(self) -> None:
        method = self.create_method()
        if self.searches != method.searches:
            raise ConfigurationError(
                f"The method {self.method!r} is not that of an {self.model_type!r} model: what searches has a model "
                f"type of its own. Make the right one: symmetrize(base, group, method={self.method!r})"
            )
        chunk = self.orbit_chunk_size
        if chunk is not None and chunk < 1:
            raise ConfigurationError(
                f"orbit_chunk_size={self.orbit_chunk_size} is no number of orbit members: use 1 or more, or None for "
                "all"
            )
        if self.group is None:
            return
        if DemographicGroup.from_dict(self.group).relaxed and not method.relaxable:
            raise ConfigurationError(
                f"The method {self.method!r} has no relaxed variant: it moves whole texts, so neutral and general "
                'words make no difference to it. Use method="equitune", or a group without neutral= and general=.'
            )
        if self.token_map is None:
            return
        token_map = TokenMap.from_dict(self.token_map)
        token_map.check_group(DemographicGroup.from_dict(self.group))
        if token_map.vocab_size != self.vocab_size:
            raise ConfigurationError(
                f"The token map was made for {token_map.vocab_size} tokens, the base has {self.vocab_size}. "
                "Symmetrize the resized base again: symmetrize(base, group, tokenizer=tokenizer)."
            )

    def create_method(self) -> Symmetrizer:
        """The method with its settings.

        Raises:
            ConfigurationError: For an unknown method (the message lists the known ones) or setting.
        """
        return create(self.method, self.average)

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> PreTrainedConfig:
        """The base's, where `generate` and caches look for layers and heads."""
        base: Any = self.base_config
        text: PreTrainedConfig = base.get_text_config(decoder=decoder, encoder=encoder)
        return text

    @property
    def max_position_embeddings(self) -> int | None:
        """The base's."""
        return getattr(self.get_text_config(), "max_position_embeddings", None)
