"""Calls of `generate`: a value of each setting and argument, and models of each way of decoding to call with them."""

from __future__ import annotations

import functools
import inspect

import small_seq2seq
import torch
from searches import hashed
from small_models import BOTH, base_model, tokenizer
from transformers import CompileConfig, GenerationConfig, QuantizedCache, TextStreamer
from transformers import WatermarkingConfig as Watermark

import hf_equi
from hf_equi.actions import TokenPairAction
from hf_equi.bases.compat import CACHE
from hf_equi.generation.named_tokens import read_biases, read_tokens, read_words
from hf_equi.generation.settings_table import (
    ALONE,
    CAUSAL,
    ENCODER,
    SEARCH,
    SETTINGS,
    TWO_VOCABULARIES,
    WORDS,
)

LENGTH = {"max_new_tokens": 3}
DRAW = {"do_sample": True, "seed": 1}
BEAMS = {"num_beams": 2}
WHOLE = {"return_dict_in_generate": True}
WAYS = {CAUSAL: (CAUSAL,), ENCODER: (ENCODER,), ALONE: (ENCODER, ALONE), SEARCH: (SEARCH,), WORDS: (WORDS,)}
IN_TOKENS = [way for way in WAYS if way != WORDS]
"""The ways in which settings that name tokens act in the frame of the prompt."""
# How each setting is asked for that works, beside its number alone.
ASKED = {
    "assistant_confidence_threshold": {"assistant_model": "own"},
    "assistant_lookbehind": {"assistant_model": "own"},
    "target_lookbehind": {"assistant_model": "own"},
    "num_assistant_tokens": {"assistant_model": "own"},
    "num_assistant_tokens_schedule": {"assistant_model": "own"},
    "max_matching_ngram_size": {"prompt_lookup_num_tokens": 2},
    "early_stopping": BEAMS,
    "length_penalty": BEAMS,
    "min_length": {"max_length": 10},
    "output_logits": WHOLE,
    "output_scores": WHOLE,
    "max_cache_len": {"cache_implementation": "static"},
    **dict.fromkeys(("do_sample", "epsilon_cutoff", "eta_cutoff", "min_p", "num_return_sequences"), DRAW),
    **dict.fromkeys(("temperature", "top_h", "top_k", "top_p", "typical_p"), DRAW),
}
VALUES = {
    "assistant_confidence_threshold": 0.5, "assistant_lookbehind": 3, "assistant_model": "own", "bos_token_id": 5,
    "cache_config": {}, "cache_implementation": "static", "compile_config": CompileConfig(), "disable_compile": True,
    "do_sample": True, "early_stopping": True, "encoder_no_repeat_ngram_size": 2, "encoder_repetition_penalty": 1.5,
    "epsilon_cutoff": 0.01, "eta_cutoff": 0.01, "exponential_decay_length_penalty": (1, 1.5), "guidance_scale": 1.5,
    "is_assistant": False, "length_penalty": 0.5, "low_memory": False, "max_cache_len": 32, "max_length": 10,
    "max_matching_ngram_size": 1, "max_new_tokens": 2, "max_time": 60.0, "min_length": 9, "min_new_tokens": 2,
    "min_p": 0.01, "no_repeat_ngram_size": 2, "num_assistant_tokens": 2, "num_assistant_tokens_schedule": "constant",
    "num_beams": 3, "num_return_sequences": 2, "output_logits": True, "output_scores": True, "prefill_chunk_size": 2,
    "prompt_lookup_num_tokens": 2, "remove_invalid_values": True, "renormalize_logits": True,
    "repetition_penalty": 1.5, "return_dict_in_generate": True, "target_lookbehind": 3, "temperature": 0.7,
    "top_h": 0.5, "top_k": 5, "top_p": 0.7, "typical_p": 0.7, "use_cache": False,
}  # fmt: skip
REFUSED = {
    "assistant_early_exit": 1, "assistant_ensemble_weight": 0.5, "assistant_tokenizer": object(),
    "cache_implementation": "paged", "constraints": [object()], "continuous_batching_config": {},
    "custom_generate": "me/decoding", "diversity_penalty": 0.5, "dola_layers": "high", "encoder_outputs": object(),
    "force_words_ids": [[3]], "num_beam_groups": 2, "output_attentions": True, "output_hidden_states": True,
    "penalty_alpha": 0.6, "speculation_type": "mtp", "token_healing": True, "use_mtp": True,
    "watermarking_config": Watermark(), CACHE: object.__new__(QuantizedCache),
}  # fmt: skip
READERS = {
    read_tokens: lambda tokens: tokens,
    read_words: lambda tokens: [[0, token] for token in tokens],
    read_biases: lambda tokens: {(token,): 2.5 for token in tokens},
}
ONE_TEXT = {"assistant_model", "prompt_lookup_num_tokens", "streamer"}
"""What goes with one text at a time."""
ONE_TOKEN = {"decoder_start_token_id", "forced_bos_token_id", "pad_token_id"}


# How each argument of `generate` is given, with some prompts.
ARGUMENTS = {
    "attention_mask": lambda model, ids: {"attention_mask": (torch.arange(ids.shape[1]) > 0).expand_as(ids).long()},
    "custom_generate": lambda model, ids: {"custom_generate": type(model)._sample},
    "encoder_outputs": lambda model, ids: {"inputs": None, "encoder_outputs": model.get_encoder()(ids)},
    "generation_config": lambda model, ids: {"generation_config": GenerationConfig(do_sample=True), "seed": 1},
    "input_ids": lambda model, ids: {"inputs": None, "input_ids": ids},
    "inputs": lambda model, ids: {},
    "logits_processor": lambda model, ids: {"logits_processor": [lambda _, scores: scores.clamp(min=-4)]},
    "negative_prompt_attention_mask": lambda model, ids: guided(ids),
    "negative_prompt_ids": lambda model, ids: guided(ids),
    "prefix_allowed_tokens_fn": lambda model, ids: {"prefix_allowed_tokens_fn": lambda *_: moved_tokens(model)},
    "stop_strings": lambda model, ids: {"stop_strings": ["a"], "tokenizer": tokenizer()},
    "stopping_criteria": lambda model, ids: {"stopping_criteria": [lambda texts, *_: torch.ones(len(texts)) > 0]},
    "streamer": lambda model, ids: {"streamer": TextStreamer(tokenizer())},
    "synced_gpus": lambda model, ids: {"synced_gpus": True},
    "tokenizer": lambda model, ids: {"tokenizer": tokenizer()},
    "trust_remote_code": lambda model, ids: {"trust_remote_code": False},
}


def guided(ids):
    """Guidance by a text with padding before it and no word of the group."""
    negative = torch.tensor([[1, *tokenizer()("person was known for")["input_ids"]]]).expand(len(ids), -1)
    mask = (torch.arange(negative.shape[1]) > 0).expand_as(negative).long()
    return {"guidance_scale": 1.5, "negative_prompt_ids": negative, "negative_prompt_attention_mask": mask}


def moved_tokens(model):
    return model._written_action(model.action).moved.tolist()


def adjusted(model, folder):
    """The settings that a model reads from a folder, and from a config."""
    options = dict.fromkeys(list(inspect.signature(model.adjust_generation_fn).parameters)[:-1])
    options |= {"from_auto_class": False, "from_pipeline": False, "subfolder": ""}
    found = []
    for given in ({"pretrained_model_name_or_path": folder}, {"generation_config": GenerationConfig(num_beams=3)}):
        model.adjust_generation_fn(**options | given)
        found.append(model.generation_config.to_diff_dict())
    return found


# Methods that do what those of the base do, of a model and a folder with settings and code of their own.
AS_THE_BASE = {
    "adjust_generation_fn": adjusted,
    "destroy_cached_continuous_batching_manager": lambda model, _: model.destroy_cached_continuous_batching_manager(),
    "load_custom_generate": lambda model, folder: model.load_custom_generate(folder, trust_remote_code=True)(),
    "output_modalities": lambda model, _: model.output_modalities,
}


def works(name, way, value):
    if (name, way) == ("cache_implementation", SEARCH):
        return False  # another reason than the table's: the search sees which cache it is given
    setting = SETTINGS[name]
    return not (setting.asks_in(WAYS[way])(value) and setting.refused.keys() & set(WAYS[way]))


@functools.cache
def model_of(way):
    if way in (ENCODER, ALONE):
        own = {"decoding": "independent"} if way == ALONE else {}
        return small_seq2seq.wrap("t5", small_seq2seq.THREE, **own)
    if way == TWO_VOCABULARIES:
        return small_seq2seq.wrap("lstm", small_seq2seq.THREE)
    own = {
        SEARCH: {"method": "equizero", "scorer": hashed},
        WORDS: {"method": "mixture", "action": "words"},
    }.get(way, {})
    return hf_equi.symmetrize(base_model(), BOTH, tokenizer=tokenizer(), **own)


class InWords:
    """Moves rows of prompts and texts by words, and tokenises them again."""

    def __init__(self, prompt):
        self.action, self.length = hf_equi.WordAction(BOTH), len(prompt)

    def apply(self, g, rows):
        texts = tokenizer().batch_decode(rows)
        moved = [self.action.apply(g, text, self.length) for text in texts]
        prompts = [self.action.apply(g, text[: self.length]) for text in texts]
        parts = zip(prompts, moved, strict=True)
        ids = [tokenizer()([prompt, text[len(prompt) :]])["input_ids"] for prompt, text in parts]
        return torch.tensor([prompt + said for prompt, said in ids])


def orbit(way):
    """A model, a prompt that only the identity fixes with its image by the last element, and how that moves texts."""
    model = model_of(way)
    action, g = model.action, model.group.order - 1
    read, written = (action.source, action.target) if isinstance(action, TokenPairAction) else (action, action)
    text = "jump and walk twice" if model.config.is_encoder_decoder else "the black man met the black man"
    written = InWords(text) if way == WORDS else written
    ids = model.tokenizer(text, return_tensors="pt")["input_ids"]
    return model, torch.cat([ids, read.apply(g, ids)]), written, g


def texts(way, **settings):
    """What is written of a prompt, moved, and of its image."""
    model, ids, written, g = orbit(way)
    settings = {
        name: model if isinstance(value, str) and value == "own" else value for name, value in settings.items()
    }
    outs = [model.generate(part, **settings) for part in ids.split(1 if ONE_TEXT & settings.keys() else 2)]
    first, other = torch.cat([getattr(out, "sequences", out) for out in outs]).chunk(2)
    return written.apply(g, first).tolist(), other.tolist()
