"""What a symmetrised model does with each setting of `generate`: one table, by the names of transformers.

A setting either works, and the tests run it, or it is refused by name. It is refused only for the ways of decoding
that cannot keep the guarantee with it. Settings that name tokens act in the frame of the text as the user reads it, so
the guarantee holds only if they name all images of a token alike: see `named_tokens`. The tests compare the table with
the installed release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from transformers import GenerationConfig
from transformers.cache_utils import QuantizedCache

from hf_equi.actions import TokenAction
from hf_equi.bases.compat import CACHE_NAMES
from hf_equi.errors import ConfigurationError, HfEquiWarning, warn
from hf_equi.generation.named_tokens import (
    Named,
    missing_images,
    read_biases,
    read_rows,
    read_strings,
    read_tokens,
    read_words,
)

__all__ = [
    "ALONE",
    "CAUSAL",
    "ENCODER",
    "METHODS",
    "NEEDS_COMBINED",
    "SEARCH",
    "SETTINGS",
    "TWO_VOCABULARIES",
    "WORDS",
    "Setting",
    "check_settings",
    "refused_method",
    "settings_of",
    "value_reader",
    "warn_of_names",
]

# The ways of decoding.
CAUSAL = "causal"
ENCODER = "encoder"
ALONE = "alone"
TWO_VOCABULARIES = "two vocabularies"
SEARCH = "search"
WORDS = "words"

SHOWN = 5
"""The most images that a warning lists."""


def _given(value: Any) -> bool:
    return value is not None and value is not False


@dataclass(frozen=True)
class Setting:
    """A field of `GenerationConfig`, or an argument of `generate`.

    Args:
        refused: Why the setting is refused, by the way of decoding. The reason continues a sentence that starts with
            the setting's name. The ways are `"causal"`, a language model; `"encoder"`, a model with an encoder;
            `"alone"`, a model that decodes each member alone; `"two vocabularies"`, a model whose source and target
            have different vocabularies; `"search"`, EquizeroLM; `"words"`, a language model whose base continues one
            member of each text, which is mapped back by words.
        asks: Whether a value asks for something. Configs also store values that ask for nothing.
        names: The tokens that a value names, for settings that name tokens.
        acts_with: Another setting, without which this one does nothing.
        always: The ways that refuse any value, whatever `asks` says of it.
    """

    refused: Mapping[str, str] = field(default_factory=dict)
    asks: Callable[[Any], bool] = _given
    names: Callable[[Any], Named] | None = None
    acts_with: str | None = None
    always: tuple[str, ...] = ()

    def asks_in(self, ways: Iterable[str]) -> Callable[[Any], bool]:
        """Return whether a value asks for something that these ways of decoding may refuse."""
        return _given if set(ways) & set(self.always) else self.asks


def _everywhere(reason: str, asks: Callable[[Any], bool] = _given) -> Setting:
    return Setting(dict.fromkeys((CAUSAL, ENCODER, SEARCH, WORDS), reason), asks)


def _above(least: float) -> Callable[[Any], bool]:
    def asks(value: Any) -> bool:
        try:
            return float(value) > least  # also a number of numpy or torch
        except (TypeError, ValueError):
            return False

    return asks


def _other_than(neutral: float) -> Callable[[Any], bool]:
    return lambda value: value is not None and value != neutral


def _cannot_fork(value: Any) -> bool:
    return isinstance(value, QuantizedCache) or (isinstance(value, str) and value in {"paged", "quantized"})


_HUB = "asks for a decoding method from the Hub, whose code does not handle orbits: leave it out"
_PAGED = (
    "asks for continuous batching, which gives the rows of an orbit no cache of their own: call generate with a "
    "batch of prompts"
)
_CACHE = (
    "asks for a cache whose rows cannot fork where the members of an orbit diverge: leave it out, or set it to "
    "'dynamic' or 'static'"
)
_OTHER = "asks for another search, but EquizeroLM already is a search: leave it out"
_STATE = (
    "keeps a state for each prompt's row, but the search takes drafts back and drops rows: leave it out, or use "
    'method="equitune"'
)
NEEDS_COMBINED = (
    "needs the combined scores of each step, but this method decodes each member alone: leave it out, or use "
    'method="equitune" with decoding="synchronised"'
)
_NOT_RETURNED = (
    "asks for output that the search does not return. It returns sequences, scores (output_scores=True), "
    "chosen_element, margin and losses. Leave the setting out"
)
_MEMBERS = (
    "asks for output that an orbit does not have: hidden states and attentions belong to its members. Call the base "
    "model for them: model.unwrap()"
)
_OF_MEMBER = (
    "asks for the scores of the member that the base reads, whose tokens are not those of the text that is returned: "
    'leave it out, or use action="tokens"'
)
_WRITES_ALONE = (
    "asks for another way to write, but on words the base writes one member of each text with its own generate: leave "
    "it out"
)
_SOURCE = "compares the source's token ids with the target's, but here they number different words: leave it out"

_WORKING = (
    "assistant_confidence_threshold", "assistant_lookbehind", "bos_token_id", "cache_config", "compile_config",
    "disable_compile", "do_sample", "early_stopping", "epsilon_cutoff", "eta_cutoff",
    "exponential_decay_length_penalty", "is_assistant", "length_penalty", "low_memory", "max_cache_len", "max_length",
    "max_matching_ngram_size", "max_new_tokens", "max_time", "min_length", "min_new_tokens", "min_p",
    "no_repeat_ngram_size", "num_assistant_tokens", "num_assistant_tokens_schedule", "num_return_sequences",
    "prefill_chunk_size", "remove_invalid_values", "renormalize_logits", "repetition_penalty",
    "return_dict_in_generate", "target_lookbehind", "temperature", "top_h", "top_k", "top_p", "typical_p", "use_cache",
)  # fmt: skip
_ARGUMENTS = (
    "attention_mask", "generation_config", "input_ids", "inputs", "logits_processor", "negative_prompt_attention_mask",
    "prefix_allowed_tokens_fn", "stopping_criteria", "streamer", "synced_gpus", "tokenizer",
    "trust_remote_code",
)  # fmt: skip

SETTINGS: dict[str, Setting] = {
    **dict.fromkeys((*_WORKING, *_ARGUMENTS), Setting()),
    # Settings that name tokens.
    **dict.fromkeys(
        (
            "begin_suppress_tokens", "decoder_start_token_id", "eos_token_id", "forced_bos_token_id",
            "forced_eos_token_id", "pad_token_id", "suppress_tokens",
        ),
        Setting(names=read_tokens),
    ),
    "bad_words_ids": Setting(names=read_words),
    "negative_prompt_ids": Setting(names=read_rows, acts_with="guidance_scale"),
    "sequence_bias": Setting(names=read_biases),
    "stop_strings": Setting(names=read_strings),
    # Settings that no orbit can support.
    "assistant_early_exit": _everywhere(
        "drafts with the first layers of a model, and an orbit has no layers: leave it out"
    ),
    "assistant_ensemble_weight": _everywhere(
        "mixes the assistant's distribution into the model's with random numbers that no seed couples: leave it out"
    ),
    "assistant_tokenizer": _everywhere(
        "is for an assistant with another vocabulary, whose tokens the group moves differently: use an assistant "
        "with the same tokenizer"
    ),
    **dict.fromkeys(
        CACHE_NAMES,
        Setting(
            {
                **dict.fromkeys((CAUSAL, ENCODER, SEARCH), _CACHE),
                WORDS: "holds the tokens of a text, but on words the base reads those of another member: leave it out",
            },
            _cannot_fork,
            always=(WORDS,),
        ),
    ),
    "cache_implementation": Setting(
        {
            **dict.fromkeys((CAUSAL, ENCODER), _CACHE),
            SEARCH: "asks for a cache that cannot take drafts back: leave cache_implementation out",
            WORDS: "asks for a cache that was not tried with texts that are mapped back by words: leave it out, or "
            "set it to 'dynamic' or 'static'",
        },
        _cannot_fork,
    ),
    "continuous_batching_config": _everywhere(_PAGED),
    "speculation_type": _everywhere("drafts with layers of the base, and an orbit has no layers: leave it out"),
    "token_healing": _everywhere(
        "rewrites the last token of a prompt, but not in the same way for its image: leave it out, and end prompts "
        "with whole words"
    ),
    "use_mtp": _everywhere("drafts with heads of the base that do not read orbits: leave it out"),
    "watermarking_config": _everywhere(
        "favours tokens by their ids, so it favours different words for the image of a prompt: leave it out"
    ),
    # Settings that transformers has moved to the Hub. Configs of older releases store values that ask for nothing.
    "constraints": _everywhere(_HUB),
    "diversity_penalty": _everywhere(_HUB, _above(0)),
    "dola_layers": _everywhere(_HUB),
    "force_words_ids": _everywhere(_HUB),
    "num_beam_groups": _everywhere(_HUB, _above(1)),
    "penalty_alpha": _everywhere(_HUB, _above(0)),
    # Settings that depend on the way of decoding.
    "assistant_model": Setting(
        {
            ENCODER: "passes the encoder's output on to another model, but here it is an orbit's: leave it out",
            SEARCH: _OTHER,
            WORDS: _WRITES_ALONE,
        }
    ),
    "custom_generate": Setting({ALONE: NEEDS_COMBINED, SEARCH: _OTHER, WORDS: _WRITES_ALONE}),
    "encoder_no_repeat_ngram_size": Setting({TWO_VOCABULARIES: _SOURCE, SEARCH: _STATE}, _above(0)),
    "encoder_repetition_penalty": Setting({TWO_VOCABULARIES: _SOURCE, SEARCH: _STATE}, _other_than(1)),
    "guidance_scale": Setting(
        {ENCODER: "calls the model as if it had no encoder: leave it out", SEARCH: _STATE}, _other_than(1)
    ),
    "encoder_outputs": Setting({ALONE: NEEDS_COMBINED}),
    "num_beams": Setting({SEARCH: _OTHER}, _above(1)),
    **dict.fromkeys(
        ("output_attentions", "output_hidden_states"),
        Setting({**dict.fromkeys((CAUSAL, ENCODER, WORDS), _MEMBERS), SEARCH: _NOT_RETURNED}),
    ),
    "output_logits": Setting({SEARCH: _NOT_RETURNED, WORDS: _OF_MEMBER}),
    "output_scores": Setting({WORDS: _OF_MEMBER}),
    "prompt_lookup_num_tokens": Setting({ALONE: NEEDS_COMBINED, SEARCH: _OTHER, WORDS: _WRITES_ALONE}),
}  # fmt: skip
"""Fields of `GenerationConfig` and arguments of `generate`. A setting without a reason works."""

_NAMING = {name: setting for name, setting in SETTINGS.items() if setting.names is not None}

METHODS: dict[str, str] = {
    **dict.fromkeys(
        (
            "adjust_generation_fn", "compute_transition_scores", "destroy_cached_continuous_batching_manager",
            "generate", "load_custom_generate", "output_modalities", "prepare_inputs_for_generation",
        ),
        "",
    ),
    **dict.fromkeys(("continuous_batching_context_manager", "generate_batch", "init_continuous_batching"), _PAGED),
    "heal_tokens": SETTINGS["token_healing"].refused[CAUSAL],
}  # fmt: skip
"""Public names of `GenerationMixin` and why each is refused. The text is empty for those that work."""


def settings_of(own: GenerationConfig, given: GenerationConfig | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a call by name, as transformers reads them; settings that nobody gave are left out.

    Args:
        own: The model's own settings.
        given: The settings of the call, as a config.
        kwargs: The settings of the call, by name. They win, even if they are `None`.

    Raises:
        ConfigurationError: If the config of the call is not a `GenerationConfig`.
    """
    if not isinstance(given, GenerationConfig | None):
        raise ConfigurationError(
            f"generation_config={given!r:.80} is not a GenerationConfig: pass GenerationConfig(...), or pass the "
            "settings as arguments of generate."
        )
    settings = {
        name: value
        for config in (own, given)
        if config is not None
        for name, value in vars(config).items()
        if value is not None
    }
    return {**settings, **kwargs}


def value_reader(
    own: GenerationConfig, given: GenerationConfig | None, kwargs: Mapping[str, Any]
) -> Callable[[str], Any]:
    """Return a function that gives the value of each setting, `None` if it is open. Arguments as in `settings_of`."""
    return settings_of(own, given, kwargs).get


def check_settings(value_of: Callable[[str], Any], ways: Iterable[str]) -> None:
    """Refuse settings with which the model cannot keep its guarantee.

    Args:
        value_of: The value of each setting of a call.
        ways: The ways in which the model decodes. If several refuse a setting, the last one gives the reason.

    Raises:
        ConfigurationError: For such a setting. The message names it.
    """
    for name, asks, reason in _refused(tuple(ways)):
        if (value := value_of(name)) is not None and asks(value):
            raise ConfigurationError(f"{name} {reason}.")


@cache
def _refused(ways: tuple[str, ...]) -> list[tuple[str, Callable[[Any], bool], str]]:
    """Return the settings that any of these ways refuses: the name, when a value asks for it, and the reason."""
    reasons = {
        name: [setting.refused[way] for way in ways if way in setting.refused] for name, setting in SETTINGS.items()
    }
    return [(name, SETTINGS[name].asks_in(ways), each[-1]) for name, each in reasons.items() if each]


def warn_of_names(value_of: Callable[[str], Any], action: TokenAction, tokenizer: Any) -> None:
    """Warn of settings that name a token the group moves but do not name all its images alike.

    Args:
        value_of: The value of each setting of a call.
        action: How the group acts on the tokens that are written.
        tokenizer: Used to show tokens in messages; `None` shows their ids only.
    """
    for name, setting in _NAMING.items():
        missing = missing_images(_named(name, setting, value_of), action)
        if missing:
            listed = ", ".join(_shown(each, tokenizer) for each in missing[:SHOWN])
            listed += ", ..." if len(missing) > SHOWN else ""
            warn(
                f"{name} names a word that the group exchanges, but does not treat {listed} in the same way. So the "
                "texts of two prompts that are images of each other are no longer images of each other. Name all "
                "words that are exchanged with each other in the same way, or leave the setting out.",
                HfEquiWarning,
            )


def _named(name: str, setting: Setting, value_of: Callable[[str], Any]) -> Named:
    """Return what a setting names in a call; nothing if transformers will refuse the value."""
    value, other = value_of(name), setting.acts_with
    if value is None or setting.names is None or not (other is None or SETTINGS[other].asks(value_of(other))):
        return {}
    try:
        return setting.names(value)
    except (TypeError, ValueError):
        return {}


def _shown(named: Any, tokenizer: Any) -> str:
    """Return some tokens, or a string, as a message shows them."""
    if isinstance(named, str):
        return repr(named)
    return f"{list(named)}" if tokenizer is None else f"{tokenizer.decode(list(named))!r} {list(named)}"


def refused_method(name: str) -> ConfigurationError:
    """Return the error for a public method of `GenerationMixin` that a symmetrised model does not have."""
    return ConfigurationError(f"{name} {METHODS[name]}.")
