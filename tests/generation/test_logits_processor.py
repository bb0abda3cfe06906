"""EquiLogitsProcessor on an unmodified model: the same texts as EquiLM."""

from __future__ import annotations

import copy

import pytest
import torch
from literal import positions
from piece_tokenizers import byte_pairs
from small_models import BOTH, GENDER, base_model, tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, MambaConfig, MambaForCausalLM

import hf_equi
from hf_equi import DemographicGroup
from hf_equi.errors import ConfigurationError, HfEquiWarning, UnsupportedModelError
from hf_equi.generation import EquiLogitsProcessor

PROMPTS = ["the man met a person and", "person", "the black woman worked"]


def both(prompts=PROMPTS, mask=False, **settings):
    """New tokens of EquiLM, and of the base with the processor."""
    base, encoded = base_model(), tokenizer()(prompts, return_tensors="pt", padding=True)
    lm = hf_equi.symmetrize(base, BOTH, tokenizer=tokenizer())
    processor = EquiLogitsProcessor(
        base, BOTH, tokenizer(), attention_mask=encoded["attention_mask"] if mask else None
    )
    length = encoded["input_ids"].shape[1]
    ours = lm.generate(**encoded, max_new_tokens=10, **settings)[:, length:]
    theirs = base.generate(**encoded, max_new_tokens=10, logits_processor=[processor], **settings)[:, length:]
    return ours.tolist(), theirs.tolist()


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_beams": 3},
        {"num_beams": 4, "num_return_sequences": 2},
        {"min_new_tokens": 8},
        {"num_beams": 3, "min_new_tokens": 10},
        {"use_cache": False},
        {"cache_implementation": "static", "num_beams": 2},
    ],
)
def test_texts_are_those_of_equilm(settings, mask):
    ours, theirs = both(mask=mask, **settings)
    assert theirs == ours


@pytest.mark.parametrize("beams", [1, 3])
def test_bans_keep_their_effect(beams):
    free, _ = both(num_beams=beams)
    banned = [[token] for token in sorted({token for text in free for token in text} - {0, 1})]
    ours, theirs = both(num_beams=beams, bad_words_ids=banned)
    assert theirs == ours
    assert not {token for text in theirs for token in text} & {token for (token,) in banned}


def test_sampling_has_the_law_of_equilm():
    base, encoded = base_model(), tokenizer()("the man", return_tensors="pt")
    lm = hf_equi.symmetrize(base, GENDER, tokenizer=tokenizer())
    with torch.no_grad():
        plain = base(**encoded).logits[:, -1].log_softmax(-1)
        corrected = EquiLogitsProcessor(base, GENDER, tokenizer())(encoded["input_ids"], plain)
        torch.testing.assert_close(corrected, lm(**encoded).logits[:, -1], atol=1e-5, rtol=0)


def test_one_processor_serves_one_call_after_another():
    base = base_model()
    processor = EquiLogitsProcessor(base, GENDER, tokenizer())
    for prompt in (PROMPTS[0], PROMPTS[1], PROMPTS[0]):
        encoded = tokenizer()(prompt, return_tensors="pt")
        fresh = EquiLogitsProcessor(base, GENDER, tokenizer())
        used = base.generate(**encoded, max_new_tokens=5, logits_processor=[processor])
        assert torch.equal(used, base.generate(**encoded, max_new_tokens=5, logits_processor=[fresh]))


def test_minus_infinity_stays():
    base, ids = base_model(), torch.tensor([[5, 6, 7]])
    scores = torch.zeros(1, base.config.vocab_size)
    scores[0, 9] = -torch.inf
    out = EquiLogitsProcessor(base, GENDER, tokenizer())(ids, scores)
    assert out[0, 9] == -torch.inf
    assert out.isfinite().sum() == base.config.vocab_size - 1


def test_what_some_member_rules_out_is_ruled_out():
    """As in EquiLM: the mean of log-probabilities of which one is −∞."""
    base = copy.deepcopy(base_model())
    lm = hf_equi.symmetrize(base, GENDER, tokenizer=tokenizer())
    word, image = (int(row[0]) for row in lm.action.images)

    def rule_out(module, inputs, out):
        out.logits[..., image] = -torch.inf

    base.register_forward_hook(rule_out)
    ids = tokenizer()("the man", return_tensors="pt")["input_ids"]
    out = EquiLogitsProcessor(base, GENDER, tokenizer())(ids, base(ids).logits[:, -1])[0]
    assert lm(ids).logits[0, -1, [word, image]].tolist() == out[[word, image]].tolist() == [-torch.inf, -torch.inf]


def test_recurrent_models_are_refused():
    mamba = MambaForCausalLM(MambaConfig(vocab_size=len(tokenizer()), hidden_size=8, num_hidden_layers=1))
    with pytest.raises(UnsupportedModelError, match=r"MambaForCausalLM takes no key-value cache.*Jamba"):
        EquiLogitsProcessor(mamba, GENDER, tokenizer())


def test_members_whose_scores_are_nan_are_refused():
    """Though those of the text itself are not: what is left would be the base's."""
    model = copy.deepcopy(base_model())
    processor = EquiLogitsProcessor(model, GENDER, tokenizer())
    encoded, woman = tokenizer()("the man", return_tensors="pt"), tokenizer()(" woman")["input_ids"][0]
    model.get_output_embeddings().weight = torch.nn.Parameter(model.get_output_embeddings().weight.detach().clone())
    model.get_input_embeddings().weight.data[woman] = torch.nan
    with pytest.raises(ConfigurationError, match="Scores of next tokens are NaN"):
        model.generate(**encoded, max_new_tokens=2, logits_processor=[processor])


def test_a_processor_that_is_never_called_says_so(monkeypatch):
    """In continuous batching transformers calls none, and the texts are the base's."""
    base, encoded = copy.deepcopy(base_model()), tokenizer()("the man", return_tensors="pt")
    monkeypatch.setattr(base, "generate_batch", lambda **_: {})  # whose cache takes all memory
    with pytest.warns(HfEquiWarning, match="never called.*cache_implementation='paged'") as caught:
        base.generate(
            encoded["input_ids"],
            max_new_tokens=2,
            cache_implementation="paged",
            logits_processor=[EquiLogitsProcessor(base, GENDER, tokenizer())],
        )
    assert caught[0].filename == __file__
    processor = EquiLogitsProcessor(base, GENDER, tokenizer())
    base.generate(**encoded, max_new_tokens=2, logits_processor=[processor])
    del processor


@pytest.mark.parametrize(
    "settings", [{"num_beams": 3}, {"num_beams": 3, "num_return_sequences": 2}, {"num_beams": 2, "use_cache": False}]
)
def test_words_of_several_tokens_in_beams_and_batches(settings):
    """Beams are of tokens in both; greedy texts are not, as `generate` of an EquiLM chooses units."""
    lm, encoded, processor = composing()
    ours = lm.generate(**encoded, max_new_tokens=8, **settings)
    theirs = lm.unwrap().generate(**encoded, max_new_tokens=8, logits_processor=[processor], **settings)
    assert theirs.tolist() == ours.tolist()


@torch.no_grad()
@pytest.mark.parametrize("look_ahead", [0.0, 1.0])
def test_words_of_several_tokens_have_the_law_of_equilm(look_ahead):
    lm, encoded, processor = composing(look_ahead)
    ids, mask = encoded["input_ids"], encoded["attention_mask"]
    for _ in range(6):
        plain = lm.unwrap()(ids, attention_mask=mask, position_ids=positions(mask)).logits[:, -1].log_softmax(-1)
        law = lm(ids, attention_mask=mask, position_ids=positions(mask)).logits[:, -1]
        torch.testing.assert_close(processor(ids, plain), law, atol=2e-5, rtol=0)
        ids = torch.cat([ids, law.argmax(-1)[:, None]], 1)
        mask = torch.nn.functional.pad(mask, (0, 1), value=1)


def test_looking_ahead_is_about_words_of_several_tokens():
    for how, message in (({"look_ahead": 2.0}, "not a share"), ({"look_ahead": 0.5}, "pass that too")):
        with pytest.raises(ConfigurationError, match=f"look_ahead.*{message}"):
            EquiLogitsProcessor(base_model(), GENDER, tokenizer(), **how)


def composing(look_ahead=0.05):
    """An EquiLM that moves words of several tokens, prompts of different lengths with such words, and a processor."""
    words, group = byte_pairs(), DemographicGroup([["grandson", "granddaughter"], ["nephew", "niece"]])
    torch.manual_seed(0)
    base = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            initializer_range=0.4, bos_token_id=None, eos_token_id=None, pad_token_id=1,
        )
    ).eval()  # fmt: skip
    how = {"multi_token": "compose", "look_ahead": look_ahead}
    lm = hf_equi.symmetrize(base, group, tokenizer=words, **how)
    assert lm.action.moved_forms
    texts = [words(text)["input_ids"] for text in ("the granddaughter and the nephew met", "his niece's", "the man")]
    width = max(map(len, texts))
    ids = torch.tensor([[1] * (width - len(text)) + text for text in texts])
    mask = torch.tensor([[0] * (width - len(text)) + [1] * len(text) for text in texts])
    processor = EquiLogitsProcessor(base, group, words, **how, attention_mask=mask)
    return lm, {"input_ids": ids, "attention_mask": mask}, processor
