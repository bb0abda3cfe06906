"""What the search refuses before it drafts, ties without a seed, and processors that know the rows."""

from __future__ import annotations

import copy

import pytest
import torch
from searches import Bias, continuations, hashed
from small_models import BOTH, GENDER, base_model, tokenizer
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    LogitsProcessorList,
    SynthIDTextWatermarkingConfig,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.generation import PrefixConstrainedLogitsProcessor, RepetitionPenaltyLogitsProcessor

import hf_equi
from hf_equi import DemographicGroup, EquizeroSearch
from hf_equi.actions import token_action
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError
from hf_equi.generation.search_checks import (
    check_extras,
    check_length,
    check_parts,
    position_limit,
    processors_of_rows,
)

IDS = torch.tensor([[265, 268]])
WATERMARK = SynthIDTextWatermarkingConfig(keys=[654, 400, 836], ngram_len=3, context_history_size=8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guidance_scale": 1.5}, "guidance_scale keeps a state for each prompt's row"),
        ({"watermarking_config": WATERMARK}, "watermarking_config favours tokens by their ids"),
        ({"encoder_repetition_penalty": 1.2}, "encoder_repetition_penalty keeps a state"),
        ({"encoder_no_repeat_ngram_size": 2}, "encoder_no_repeat_ngram_size keeps a state"),
        ({"prompt_lookup_num_tokens": 2}, "prompt_lookup_num_tokens asks for another search"),
        (
            {"output_logits": True, "return_dict_in_generate": True},
            "output_logits asks for output that the search does not ret",
        ),
    ],
)
def test_settings_that_the_search_cannot_keep_are_refused_before_a_forward(settings, message):
    model, forwards = copy.deepcopy(base_model()), []
    model.register_forward_pre_hook(lambda *arguments: forwards.append(1))
    model.set_attn_implementation("eager")  # which attentions need
    lm = hf_equi.symmetrize(model, GENDER, "equizero", tokenizer=tokenizer(), scorer=hashed)
    search = EquizeroSearch(GENDER, tokenizer(), hashed)
    with pytest.raises(ConfigurationError, match=message):
        model.generate(IDS, custom_generate=search, max_new_tokens=3, **settings)
    with pytest.raises(ConfigurationError, match=message):
        lm.generate(IDS, max_new_tokens=3, **settings)
    assert not forwards


def test_models_that_cannot_be_searched():
    search = EquizeroSearch(GENDER, tokenizer(), hashed)
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    with pytest.raises(ConfigurationError, match=r"on the wrapper EquiLM: pass it to lm\.unwrap\(\).*equizero"):
        lm.generate(IDS, custom_generate=search, max_new_tokens=2)
    config = T5Config(
        vocab_size=len(tokenizer()), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    with pytest.raises(UnsupportedModelError, match="is an encoder-decoder model"):
        T5ForConditionalGeneration(config).eval().generate(IDS, custom_generate=search, max_new_tokens=2)


@pytest.mark.parametrize(
    ("group", "made_of", "message"),
    [
        ("gender", tokenizer(), "group='gender' is not a DemographicGroup"),
        ([["man", "woman"]], tokenizer(), "is not a DemographicGroup"),
        (GENDER, None, "pass the model's tokenizer, tokenizer="),
    ],
)
def test_what_a_search_cannot_be_made_of(group, made_of, message):
    with pytest.raises(ConfigurationError, match=message):
        check_parts(group, made_of, hashed)
    with pytest.raises(ConfigurationError, match=message):
        EquizeroSearch(group, made_of, hashed)
    with pytest.raises(ConfigurationError, match="needs a scorer"):
        check_parts(GENDER, tokenizer(), None)


def test_words_of_several_tokens_need_the_search_on_words():
    group = DemographicGroup([["man", "woman"], ["zebra", "giraffe"]])
    action = token_action(group, resolve_tokens(group, tokenizer(), multi_token="compose"))
    for given in ({"group": group, "multi_token": "compose"}, {"group": action}):
        with pytest.raises(ConfigurationError, match='Pass action="words" to move whole words'):
            EquizeroSearch(tokenizer=tokenizer(), scorer=hashed, **given)
    search = EquizeroSearch(group, tokenizer(), hashed)
    ids = tokenizer()("the man", return_tensors="pt")["input_ids"]
    with pytest.raises(ActionError, match=r'zebra/giraffe\. Pass action="words" to move whole words, leave them out'):
        base_model().generate(ids, custom_generate=search, max_new_tokens=4, pad_token_id=1)


def test_extras_that_are_tensors_are_refused():
    check_extras({"output_attentions": True})
    with pytest.raises(ConfigurationError, match="does not pass token_type_ids to"):
        check_extras({"token_type_ids": torch.zeros(1, 2)})


# Lengths.


def test_position_limits():
    assert position_limit(base_model("gpt2")) == 128
    assert position_limit(base_model("opt")) == 128
    assert position_limit(base_model("llama")) is None
    assert position_limit(base_model("bloom")) is None
    mask = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]])
    check_length(mask, 5, 8)
    check_length(mask, 50, None)
    with pytest.raises(ConfigurationError, match=r"has 4 tokens. With a draft of 5 it exceeds the 7 positions"):
        check_length(mask, 5, 7)


def test_members_that_grow_past_the_positions_are_refused_before_a_forward():
    """A word of one letter whose image has many tokens."""
    config = GPT2Config(
        vocab_size=len(tokenizer()), n_embd=32, n_layer=1, n_head=2, n_positions=12, bos_token_id=0, eos_token_id=0
    )
    model, forwards = AutoModelForCausalLM.from_config(config).eval(), []
    model.register_forward_pre_hook(lambda *arguments: forwards.append(1))
    group = DemographicGroup([["man", "zxqvzxqvzxqvzxqvzxqv"]])
    search = EquizeroSearch(group, tokenizer(), hashed, 2, "words")
    ids = tokenizer()("the man", return_tensors="pt")["input_ids"]
    with pytest.raises(ConfigurationError, match="exceeds the 12 positions of the model: shorten the prompts"):
        model.generate(ids, custom_generate=search, max_new_tokens=4, pad_token_id=1)
    assert not forwards
    fits = EquizeroSearch(GENDER, tokenizer(), hashed, 2, "words")
    assert model.generate(ids, custom_generate=fits, max_new_tokens=4, pad_token_id=1).shape[1] > ids.shape[1]


# Ties.


@pytest.mark.parametrize("action", ["tokens", "words"])
def test_greedy_calls_without_a_seed_agree_and_use_no_random_numbers(action):
    """In bfloat16 with few distinct scores, so that tokens tie."""
    model = AutoModelForCausalLM.from_config(
        LlamaConfig(
            vocab_size=len(tokenizer()),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            initializer_range=0.02,
            eos_token_id=None,
            pad_token_id=1,
        )
    ).to(torch.bfloat16)
    model.eval()
    with torch.no_grad():
        model.lm_head.weight.copy_(model.lm_head.weight.sign() * 0.0)  # all tokens tie
    lm = hf_equi.symmetrize(model, BOTH, "equizero", tokenizer=tokenizer(), scorer=hashed, action=action)
    search = EquizeroSearch(BOTH, tokenizer(), hashed, action=action)
    ids = tokenizer()(["the man worked", "the woman worked"], return_tensors="pt")["input_ids"]
    found = []
    for seed in range(3):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        found.append(model.generate(ids, custom_generate=search, max_new_tokens=6, do_sample=False))
        found.append(lm.generate(ids, max_new_tokens=6, do_sample=False))
        assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one, found[0]) for one in found)
    assert torch.equal(found[0], lm.generate(ids, max_new_tokens=6, do_sample=False, seed=0))
    assert not torch.equal(found[0], lm.generate(ids, max_new_tokens=6, do_sample=False, seed=1))


# Processors.


def test_processors_are_told_the_rows_and_stay_as_they_are():
    asked = []

    def allowed(prompt, sent):
        asked.append((prompt, sent.tolist()))
        return [2 + prompt]

    given = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(2.0, torch.tensor([1, 0])),
            PrefixConstrainedLogitsProcessor(allowed, num_beams=1),
            Bias({}),
        ]
    )
    own = processors_of_rows(given, torch.tensor([1, 1, 0, 0]), [0, 0, 1, 1])
    assert own[0].prompt_ignore_length.tolist() == [1, 1, 0, 0]
    assert given[0].prompt_ignore_length.tolist() == [1, 0]
    assert own[2] is given[2]
    scores = own[1](torch.tensor([[5], [6], [7], [8]]), torch.zeros(4, 4))
    assert asked == [(0, [5]), (0, [6]), (1, [7]), (1, [8])]
    assert scores.isfinite().nonzero().tolist() == [[0, 2], [1, 2], [2, 3], [3, 3]]


@pytest.mark.parametrize("samples", [1, 2])
def test_prefixes_are_allowed_by_prompt(samples):
    """Also after the first texts have ended, when rows are fewer."""
    prompts = ["the man", "an asian person", "the woman worked as a"]
    letters = [tokenizer()(letter)["input_ids"][0] for letter in "xyz"]

    def allowed(prompt, sent):
        return [letters[prompt]] + [0] * (prompt == 0)  # the first text may end

    rows = continuations(
        prompts, BOTH, bias={0: 9.0}, prefix_allowed_tokens_fn=allowed, num_return_sequences=samples, m=2
    )
    assert len(rows) == 3 * samples
    for row, tokens in enumerate(rows):
        assert set(tokens) <= {letters[row // samples], 0, 1}
        assert (0 in tokens) == (row < samples)
    assert all(len(tokens) == 8 for tokens in rows[samples:])
