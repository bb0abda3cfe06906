"""What every wrapper of text keeps: the vocabulary that its group moves."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from small_models import GENDER, base_model, tokenizer
from small_seq2seq import SIX, encode, fresh, tokenizers, wrap

import hf_equi
from hf_equi import DemographicGroup, EquizeroSearch
from hf_equi.errors import ActionError, ConfigurationError, GroupWarning
from hf_equi.generation import EquiLogitsProcessor


@pytest.fixture(params=["gpt2", "t5", "bart", "lstm", "marian-pair"])
def lm(request):
    if request.param == "gpt2":
        return hf_equi.symmetrize(copy.deepcopy(base_model()), GENDER, tokenizer=tokenizer())
    source, target = tokenizers(request.param)
    return hf_equi.symmetrize(fresh(request.param), SIX, tokenizer=source, target_tokenizer=target)


def test_embeddings_keep_their_size(lm):
    rows = lm.config.vocab_size
    for arguments in ({"new_num_tokens": rows + 1}, {"new_num_tokens": rows, "pad_to_multiple_of": 64}):
        with pytest.raises(ConfigurationError, match=f"was made for {rows} tokens, not for another size"):
            lm.resize_token_embeddings(**arguments)
    assert lm.resize_token_embeddings(rows) is lm.base.get_input_embeddings()
    assert lm.resize_token_embeddings() is lm.base.get_input_embeddings()


def test_a_base_that_was_resized_is_brought_back():
    lm = hf_equi.symmetrize(copy.deepcopy(base_model()), GENDER, tokenizer=tokenizer())
    rows = lm.config.vocab_size
    lm.base.resize_token_embeddings(rows + 2, mean_resizing=False)
    assert len(lm.resize_token_embeddings(rows).weight) == rows


def by_length(texts):
    return torch.tensor([float(len(text)) for text in texts])


def calls(kind, texts):
    """Each way into a model that reads texts, by the words "WOMAN" and "twice" that stay in them."""
    if kind == "seq2seq":
        source, target = tokenizers("bart")
        group = DemographicGroup([["jump", "run"], ["twice", "thrice"]])
        settings = {"tokenizer": source, "target_tokenizer": target, "multi_token": "skip"}
        with pytest.warns(GroupWarning, match=r"^2 of 4 words .* these tokenizers .*: twice/thrice\."):
            model = hf_equi.symmetrize(fresh("bart"), group, **settings).eval()
        batch = dict(source(texts, return_tensors="pt", padding=True))
        other = {"input_ids": source(["jump"] * len(texts), return_tensors="pt")["input_ids"]}
        encoded = model.get_encoder()(**batch)
        yield "generate", lambda: model.generate(**batch, max_new_tokens=2)
        yield "encoded", lambda: model(encoder_outputs=encoded, decoder_input_ids=other["input_ids"])
        yield "sources", lambda: model(**batch, decoder_input_ids=other["input_ids"])
        yield "both", lambda: model(**batch, decoder_input_ids=batch["input_ids"])
        yield "targets", lambda: model(**other, decoder_input_ids=batch["input_ids"])
        yield "labels", lambda: model(**other, labels=batch["input_ids"].where(batch["attention_mask"] == 1, -100))
        return
    base, batch = base_model(), dict(tokenizer()(texts, return_tensors="pt", padding=True))
    lm = hf_equi.symmetrize(base, GENDER, tokenizer=tokenizer()).eval()
    zero = hf_equi.symmetrize(base, GENDER, "equizero", tokenizer=tokenizer(), scorer=by_length)
    search = EquizeroSearch(GENDER, tokenizer(), by_length)
    processor = EquiLogitsProcessor(base, GENDER, tokenizer())
    yield "forward", lambda: lm(**batch)
    yield "generate", lambda: lm.generate(**batch, max_new_tokens=2)
    yield "search of a model", lambda: zero.generate(**batch, max_new_tokens=2)
    yield "search", lambda: base.generate(**batch, max_new_tokens=2, custom_generate=search)
    yield "processor", lambda: base.generate(**batch, max_new_tokens=2, logits_processor=[processor])


@pytest.mark.parametrize(
    ("kind", "moving", "staying", "words"),
    [
        ("causal", ["the man met a woman"], ["the WOMAN met", "a man or a MAN"], "'MAN', 'WOMAN'"),
        ("seq2seq", ["jump and run"], ["jump twice", "run twice and jump"], "'twice'"),
    ],
)
def test_words_that_stay_are_said_once_a_call(kind, moving, staying, words):
    for name, call in calls(kind, staying):
        with pytest.warns(GroupWarning, match=rf"stay where they are: {words}\.") as caught:
            call()
        assert len(caught) == 1, name
        assert caught[0].filename == __file__, name
    for _, call in calls(kind, moving):
        call()


def test_texts_to_learn_from_and_whole_words_say_nothing():
    batch = tokenizer()(["the WOMAN"], return_tensors="pt")
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    lm.train()(**batch, labels=batch["input_ids"])
    with pytest.warns(GroupWarning, match="'WOMAN'"):
        lm.generate(**batch, max_new_tokens=1)  # which is not training
    lm.eval()
    settings = {"tokenizer": tokenizer(), "scorer": by_length, "action": "words"}
    words = hf_equi.symmetrize(base_model(), GENDER, "equizero", **settings)
    words.generate(**batch, max_new_tokens=1)
    assert words.explain("the WOMAN").moved == (("WOMAN", ("WOMAN", "MAN")),)
    hf_equi.symmetrize(base_model(), GENDER, "identity", tokenizer=tokenizer()).eval()(**batch)  # promises nothing
    lm._tokenizer = None
    lm(**batch)


def test_words_of_the_group_of_a_call_are_looked_for():
    batch = tokenizer()(["the BLACK WOMAN"], return_tensors="pt")
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer()).eval()
    with warnings.catch_warnings(action="ignore", category=GroupWarning), torch.no_grad():
        lm(**batch)
    for _ in range(2):
        with pytest.warns(GroupWarning, match="stay where they are: 'BLACK'\\."):
            lm(**batch, group=DemographicGroup([["black", "white"]]))


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_members_that_a_group_does_not_have_are_refused(kind):
    if kind == "seq2seq":
        model = wrap("bart")
        ids = encode(model)["input_ids"][:2]
        given = {"input_ids": ids, "decoder_input_ids": ids}
    else:
        model = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
        given = {"input_ids": tokenizer()(["the man", "the woman"], return_tensors="pt")["input_ids"]}
    for elements, message in (
        ([-1, 0], "No element -1 in"),
        ([0, 2], "No element 2 in"),
        ([0], r"int64 of shape \(2,\); received .* \(1,\)"),
        ([0.0, 1.0], "received torch.float32"),
    ):
        for call, length in ((model, {}), (model.generate, {"max_new_tokens": 1})):
            with pytest.raises(ActionError, match=message):
                call(**given, **length, elements=torch.tensor(elements))
