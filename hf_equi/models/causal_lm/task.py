"""The task that makes an EquiLM or an EquizeroLM in `symmetrize`."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from transformers import PreTrainedConfig, PreTrainedModel

from hf_equi.actions.resolution import resolve_tokens
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.generation.base_call import check_states
from hf_equi.generation.scorers import DEFAULT_REGARD
from hf_equi.generation.search_checks import check_search
from hf_equi.models.causal_lm.configuration_equi_lm import EquiLMConfig
from hf_equi.models.causal_lm.configuration_equizero_lm import EquizeroLMConfig
from hf_equi.models.causal_lm.methods import check_action, check_multi_token, create, remedy
from hf_equi.models.causal_lm.modeling_equi_lm import EquiLM
from hf_equi.models.causal_lm.modeling_equizero_lm import EquizeroLM
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.task import Request
from hf_equi.models.text.task import TextTask
from hf_equi.models.text.tokenizer_state import Fingerprints
from hf_equi.symmetrizers import Method

__all__ = ["CausalLMTask"]

SEARCH = ("scorer", "beam_length")
UNITS = ("multi_token", "look_ahead", "unlooked_share")


class CausalLMTask(TextTask):
    """Causal language models."""

    what = "model that reads from left to right and generates text"
    model_class = EquiLM
    entries: ClassVar[tuple[str, ...]] = ("action", "average", *UNITS, "orbit_chunk_size")
    companions: ClassVar[tuple[str, ...]] = ("tokenizer", *SEARCH)
    commands: ClassVar[tuple[str, ...]] = ("audit", "demo", "generate", "inspect")

    def check_config(self, config: PreTrainedConfig) -> None:
        """Refuse a config whose model cannot be wrapped, for example because it keeps only recurrent states."""
        super().check_config(config)
        for model in self.classes(config):
            check_states(model, config)

    def owns(self, model: PreTrainedModel) -> bool:
        """Return whether the model generates text from left to right."""
        reads_on = not model.config.is_encoder_decoder and not _reads_both_ways(model.config)
        return model.can_generate() and reads_on

    def make_config(self, request: Request) -> EquiConfig:
        """Make the config, with the tokens that stand for the group's words."""
        given = request.settings
        method = create(request.method, given.get("average", "logits"))
        search, action = _search_settings(method, given), given.get("action", "tokens")
        check_action(request.method, action)
        check_multi_token(method, **{name: given[name] for name in UNITS if name in given})
        entries = request.common(*self.entries)
        words = action == "words"  # then tokens are used only to score
        if words:
            entries["multi_token"] = "skip"
        vocab_size = request.base_config.get_text_config().vocab_size
        with warnings.catch_warnings():
            if words:  # words move without tokens of their own
                warnings.simplefilter("ignore", HfEquiWarning)
            multi_token = entries.get("multi_token", "auto")
            found = resolve_tokens(
                request.group,
                request.companion,
                vocab_size,
                multi_token,
                relaxes=not method.searches,
                remedy=remedy(method),
            )
        entries["token_map"] = found.to_dict()
        return EquiLMConfig(**entries) if search is None else EquizeroLMConfig(**entries, **search)

    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> EquiLM:
        """Return the base in its wrapper, with its tokenizer."""
        if isinstance(config, EquizeroLMConfig):
            lm: EquiLM = EquizeroLM(config, base, request.settings.get("scorer"))
        else:
            lm = EquiLM(config, base)
        lm._tokenizer = request.companion  # the config was made with it
        lm.config.note_tokenizer(Fingerprints(request.companion))
        return lm


def _search_settings(method: Method, given: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the config of a search holds, checked; `None` for methods that do not search."""
    names = [name for name in SEARCH if name in given]
    if not method.searches:
        if names:
            raise ConfigurationError(
                f"{', '.join(names)}: only method='equizero' searches; {method.name!r} does not use these settings"
            )
        return None
    scorer, beam_length = given.get("scorer"), given.get("beam_length", 5)
    check_search(scorer, beam_length, given.get("action", "tokens"))
    default = None if scorer is not None else {"name": DEFAULT_REGARD}
    return {"beam_length": beam_length, "scorer_settings": default}


def _reads_both_ways(config: PreTrainedConfig) -> bool:
    """Return whether the config is that of an encoder which can also act as a decoder on request."""
    return hasattr(config, "add_cross_attention") and getattr(config, "is_decoder", True) is False
