"""What each setting of `generate` is to a symmetrised model: one table, by the names of transformers.

A setting works, and the tests run it; or it is refused by name, in those ways of decoding that cannot keep what is
guaranteed with it. Those that name tokens act in the frame of the text as it is read, so the guarantee holds only if
they name all images of a token alike: `named_tokens`. The tests compare the table with the installed release.
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

SHOWN = 5
"""Images that a warning lists at most."""


def _given(value: Any) -> bool:
    return value is not None and value is not False


@dataclass(frozen=True)
class Setting:
    """A field of `GenerationConfig`, or an argument of `generate`.

    Args:
        refused: Why it is refused, as what follows its name in a sentence, by the way of decoding: `"causal"`, of a
            language model; `"encoder"`, of one with an encoder; `"alone"`, of one whose members are decoded each
            alone; `"two vocabularies"`, of one whose source has another than its target; `"search"`, of EquizeroLM.
        asks: Whether a value asks for something: configs store values that ask for nothing.
        names: The tokens that a value names, where it acts on those.
        acts_with: Another setting, without which it does nothing.
    """

    refused: Mapping[str, str] = field(default_factory=dict)
    asks: Callable[[Any], bool] = _given
    names: Callable[[Any], Named] | None = None
    acts_with: str | None = None


def _everywhere(reason: str, asks: Callable[[Any], bool] = _given) -> Setting:
    return Setting(dict.fromkeys((CAUSAL, ENCODER, SEARCH), reason), asks)


def _above(least: float) -> Callable[[Any], bool]:
    def asks(value: Any) -> bool:
        try:
            return float(value) > least  # of a number of numpy or torch, too
        except (TypeError, ValueError):
            return False

    return asks


def _other_than(neutral: float) -> Callable[[Any], bool]:
    return lambda value: value is not None and value != neutral


def _cannot_fork(value: Any) -> bool:
    return isinstance(value, QuantizedCache) or (isinstance(value, str) and value in {"paged", "quantized"})


_HUB = "asks for a decoding method from the Hub, whose code does not know of orbits: leave it out"
_PAGED = (
    "asks for continuous batching, which gives the rows of an orbit no cache of their own: call generate with a batch "
    "of prompts"
)
_CACHE = (
    "asks for a cache whose rows cannot fork where the members of an orbit part: leave it out, or take 'dynamic' or "
    "'static'"
)
_OTHER = "asks for another search, and EquizeroLM is one of its own: leave it out"
_STATE = (
    "keeps a state for the rows of the prompts, and the search takes drafts back and drops rows: leave it out, or "
    'take method="equitune"'
)
NEEDS_COMBINED = (
    "needs the combined scores of each step, and the members of this method are decoded each alone: leave it out, or "
    'take method="equitune" with decoding="synchronised"'
)
_NOT_RETURNED = (
    "asks for what the search does not return: there are sequences, scores (output_scores=True), chosen_element, "
    "margin and losses. Leave it out"
)
_MEMBERS = (
    "asks for what an orbit does not have: hidden states and attentions are those of its members. Ask the base for "
    "them: model.unwrap()"
)
_SOURCE = "compares the source's token ids with the target's, which number other words in this model: leave it out"

_WORKING = (
    "assistant_confidence_threshold", "assistant_lookbehind", "bos_token_id", "cache_config", "compile_config",
    "disable_compile", "do_sample", "early_stopping", "epsilon_cutoff", "eta_cutoff",
    "exponential_decay_length_penalty", "is_assistant", "length_penalty", "low_memory", "max_cache_len", "max_length",
    "max_matching_ngram_size", "max_new_tokens", "max_time", "min_length", "min_new_tokens", "min_p",
    "no_repeat_ngram_size", "num_assistant_tokens", "num_assistant_tokens_schedule", "num_return_sequences",
    "output_scores", "prefill_chunk_size", "remove_invalid_values", "renormalize_logits", "repetition_penalty",
    "return_dict_in_generate", "target_lookbehind", "temperature", "top_h", "top_k", "top_p", "typical_p", "use_cache",
)  # fmt: skip
_ARGUMENTS = (
    "attention_mask", "generation_config", "input_ids", "inputs", "logits_processor", "negative_prompt_attention_mask",
    "prefix_allowed_tokens_fn", "stopping_criteria", "streamer", "synced_gpus", "tokenizer",
    "trust_remote_code",
)  # fmt: skip

SETTINGS: dict[str, Setting] = {
    **dict.fromkeys((*_WORKING, *_ARGUMENTS), Setting()),
    # Tokens that are named.
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
    # What no orbit can have.
    "assistant_early_exit": _everywhere(
        "drafts by the first layers of a model, and an orbit has no layers: leave it out"
    ),
    "assistant_ensemble_weight": _everywhere(
        "mixes the assistant's law into the model's by random numbers that no seed couples: leave it out"
    ),
    "assistant_tokenizer": _everywhere(
        "is for an assistant of another vocabulary, whose tokens the group moves otherwise: take an assistant with "
        "the same tokenizer"
    ),
    **dict.fromkeys(CACHE_NAMES, _everywhere(_CACHE, _cannot_fork)),
    "cache_implementation": Setting(
        {
            **dict.fromkeys((CAUSAL, ENCODER), _CACHE),
            SEARCH: "asks for a cache that cannot take drafts back: leave cache_implementation out",
        },
        _cannot_fork,
    ),
    "continuous_batching_config": _everywhere(_PAGED),
    "speculation_type": _everywhere("drafts from layers of the base, and an orbit has no layers: leave it out"),
    "token_healing": _everywhere(
        "writes the last token of a prompt anew, for a prompt and for its image not alike: leave it out, and end "
        "prompts with whole words"
    ),
    "use_mtp": _everywhere("drafts by heads of the base that read no orbits: leave it out"),
    "watermarking_config": _everywhere(
        "favours tokens by their numbers, so that it favours other words for the image of a prompt: leave it out"
    ),
    # What transformers has moved to the Hub. Values that ask for nothing stand in configs of older releases.
    "constraints": _everywhere(_HUB),
    "diversity_penalty": _everywhere(_HUB, _above(0)),
    "dola_layers": _everywhere(_HUB),
    "force_words_ids": _everywhere(_HUB),
    "num_beam_groups": _everywhere(_HUB, _above(1)),
    "penalty_alpha": _everywhere(_HUB, _above(0)),
    # What depends on the way of decoding.
    "assistant_model": Setting(
        {
            ENCODER: "passes what an encoder has said on to another model, and here it is of an orbit: leave it out",
            SEARCH: _OTHER,
        }
    ),
    "custom_generate": Setting({ALONE: NEEDS_COMBINED, SEARCH: _OTHER}),
    "encoder_no_repeat_ngram_size": Setting({TWO_VOCABULARIES: _SOURCE, SEARCH: _STATE}, _above(0)),
    "encoder_repetition_penalty": Setting({TWO_VOCABULARIES: _SOURCE, SEARCH: _STATE}, _other_than(1)),
    "guidance_scale": Setting(
        {ENCODER: "calls the model as one without an encoder: leave it out", SEARCH: _STATE}, _other_than(1)
    ),
    "encoder_outputs": Setting({ALONE: NEEDS_COMBINED}),
    "num_beams": Setting({SEARCH: _OTHER}, _above(1)),
    **dict.fromkeys(
        ("output_attentions", "output_hidden_states"),
        Setting({**dict.fromkeys((CAUSAL, ENCODER), _MEMBERS), SEARCH: _NOT_RETURNED}),
    ),
    "output_logits": Setting({SEARCH: _NOT_RETURNED}),
    "prompt_lookup_num_tokens": Setting({ALONE: NEEDS_COMBINED, SEARCH: _OTHER}),
}  # fmt: skip
"""Fields of `GenerationConfig` and arguments of `generate`. Those without a reason work."""

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
"""Public names of `GenerationMixin`, and why they are refused: an empty text for those that work."""


def settings_of(own: GenerationConfig, given: GenerationConfig | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a call by name, as transformers reads them; a setting that is missing is left open.

    Args:
        own: The model's settings.
        given: Those of the call, as a config.
        kwargs: Those of the call, by name. They win, with `None` as well.

    Raises:
        ConfigurationError: For a config of the call that is not a `GenerationConfig`.
    """
    if not isinstance(given, GenerationConfig | None):
        raise ConfigurationError(
            f"generation_config={given!r:.80} is not a GenerationConfig: pass one, GenerationConfig(...), or "
            "the settings as arguments of generate."
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
    """The value of each setting of a call, `None` where it is left open; with the arguments of `settings_of`."""
    return settings_of(own, given, kwargs).get


def check_settings(value_of: Callable[[str], Any], ways: Iterable[str]) -> None:
    """Refuse settings that a model cannot keep its guarantee with.

    Args:
        value_of: The value of each setting of a call.
        ways: How the model decodes; where several refuse a setting, the last says why.

    Raises:
        ConfigurationError: For such a setting, by its name.
    """
    for name, asks, reason in _refused(tuple(ways)):
        if (value := value_of(name)) is not None and asks(value):
            raise ConfigurationError(f"{name} {reason}.")


@cache
def _refused(ways: tuple[str, ...]) -> list[tuple[str, Callable[[Any], bool], str]]:
    """The settings that some of these ways refuse: their names, when they are asked for, and why not."""
    reasons = {
        name: [setting.refused[way] for way in ways if way in setting.refused] for name, setting in SETTINGS.items()
    }
    return [(name, SETTINGS[name].asks, each[-1]) for name, each in reasons.items() if each]


def warn_of_names(value_of: Callable[[str], Any], action: TokenAction, tokenizer: Any) -> None:
    """Warn of settings that name a token that moves, and not all its images alike.

    Args:
        value_of: The value of each setting of a call.
        action: How the group acts on the tokens that are written.
        tokenizer: By which messages show tokens; `None` for their numbers alone.
    """
    for name, setting in _NAMING.items():
        missing = missing_images(_named(name, setting, value_of), action)
        if missing:
            listed = ", ".join(_shown(each, tokenizer) for each in missing[:SHOWN])
            listed += ", ..." if len(missing) > SHOWN else ""
            warn(
                f"{name} names a word that the group exchanges, but not {listed} in the same way. So the texts of two "
                "prompts that are images of each other are no longer images of each other. Name all words that are "
                "exchanged with each other in the same way, or leave it out.",
                HfEquiWarning,
            )


def _named(name: str, setting: Setting, value_of: Callable[[str], Any]) -> Named:
    """What a setting names in a call; nothing, where transformers will refuse it."""
    value, other = value_of(name), setting.acts_with
    if value is None or setting.names is None or not (other is None or SETTINGS[other].asks(value_of(other))):
        return {}
    try:
        return setting.names(value)
    except (TypeError, ValueError):
        return {}


def _shown(named: Any, tokenizer: Any) -> str:
    """Some tokens, or a string, for a message."""
    if isinstance(named, str):
        return repr(named)
    return f"{list(named)}" if tokenizer is None else f"{tokenizer.decode(list(named))!r} {list(named)}"


def refused_method(name: str) -> ConfigurationError:
    """The error of a public method of `GenerationMixin` that a symmetrised model does not have."""
    return ConfigurationError(f"{name} {METHODS[name]}.")
