"""The configuration of EquiLM."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import SubConfigSpec

from hf_equi.actions import WordAction
from hf_equi.actions.token_maps import TokenMap
from hf_equi.bases.compat import CACHE
from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup
from hf_equi.models.causal_lm.methods import LOOK_AHEAD, UNLOOKED_SHARE, check_action, check_multi_token, create
from hf_equi.models.text.configuration_equi_text import EquiTextConfig
from hf_equi.symmetrizers import Method

__all__ = ["EquiLMConfig"]


@strict
class EquiLMConfig(EquiTextConfig):
    r"""Configuration of `EquiLM`: a base config, a group in words, and the tokens that stand for those words.

    Args:
        base_config (`PreTrainedConfig` or `dict`, *optional*):
            Configuration of the base model; by default that of GPT-2.
        group (`dict`, *optional*):
            The group, as `DemographicGroup.to_dict` gives it.
        token_map (`dict`, *optional*):
            The tokens that the group moves, as `TokenMap.to_dict` gives them. Permutation tables are rebuilt from it.
        tokenizer_fingerprint (`str`, *optional*):
            Hash of the tokenizer that the map was made with (`hf_equi.models.text.fingerprint`).
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"mixture"`, `"canonical"` or `"identity"`.
        average (`str`, *optional*, defaults to `"logits"`):
            What equi-tuning averages: `"logits"` or `"probabilities"`.
        action (`str`, *optional*, defaults to `"tokens"`):
            What the group acts on: `"tokens"`, or `"words"` with methods that map whole texts back, `"mixture"` and
            `"canonical"`. On words the model writes texts and has no scores.
        multi_token (`str`, *optional*, defaults to `"auto"`):
            How to treat words that are not one token, also for `generate(group=...)`: `"error"` refuses them, `"skip"`
            lets them stay, with a warning, and `"auto"` does this for the words of presets only. With `"compose"`
            they move as units, with methods that combine the scores of all members; those that the tokenizer cannot
            write are treated as with `"auto"`. It has to be asked for, because beam texts are then approximate and
            steps may take longer.
        look_ahead (`float`, *optional*, defaults to 0.05):
            With `"compose"`, the second token of a word is scored by the base where the probabilities of the first
            tokens of its images combine to at least this, and all others where those of the first two do: 0 for
            always, 1 for never. The symmetry is exact for any value.
        unlooked_share (`float`, *optional*, defaults to 0.1):
            With `"compose"`, the share that stands for the tokens of a word that are not scored: above 0, at most 1.
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

    Raises:
        ConfigurationError: For an unknown method, average or action, a chunk below 1, a relaxed group with a method
            that has no relaxed variant, `"words"` with a method that pulls scores back, a map for another vocabulary,
            `"compose"` with a method that does not combine the scores of all members, or settings of it without it.
        ActionError: For a map that is not a permutation; with `"words"` as in `WordAction`, for a group whose moves on
            texts could not be undone.

    Example:
        >>> EquiLMConfig(method="mixture").get_text_config().model_type
        'gpt2'
    """

    model_type = "equi_lm"
    keys_to_ignore_at_inference: ClassVar[list[str]] = [CACHE, "chosen_element"]
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="gpt2")
    }

    map_names: ClassVar[tuple[str, ...]] = ("token_map",)

    token_map: dict[str, Any] | None = None
    look_ahead: float = LOOK_AHEAD
    unlooked_share: float = UNLOOKED_SHARE
    action: str = "tokens"

    @property
    def search_settings(self) -> dict[str, Any] | None:
        """The settings of a search over the orbit; `None` if no search writes the texts."""
        return None

    def _check(self) -> None:
        if self.create_method().searches != (self.search_settings is not None):
            raise ConfigurationError(
                f"An {self.model_type!r} model does not have the method {self.method!r}: methods that search have a "
                f"model type of their own. Make the right model: symmetrize(base, group, method={self.method!r})"
            )
        check_multi_token(self.create_method(), self.multi_token, self.look_ahead, self.unlooked_share)
        check_action(self.method, self.action)
        super()._check()
        if self.action == "words" and self.group is not None:
            WordAction(self.read_group())

    def _check_maps(self, group: DemographicGroup) -> None:
        token_map = TokenMap.from_dict(self.token_map or {})
        token_map.check_group(group)
        if token_map.vocab_size != self.vocab_size:
            raise ConfigurationError(
                f"The token map was made for {token_map.vocab_size} tokens, but the base has {self.vocab_size}. "
                "Symmetrize the resized base again: symmetrize(base, group, tokenizer=tokenizer)."
            )

    def create_method(self) -> Method:
        """Make the method with its settings.

        Raises:
            ConfigurationError: For an unknown method (the message lists the known ones) or an unknown setting.
        """
        return create(self.method, self.average)
