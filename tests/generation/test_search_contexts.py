"""The texts of a search: frames and members of tokens, and words that come through any tokenizer unchanged."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import BOTH, CORPUS, END, PAD, tokenizer
from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

import hf_equi
from hf_equi import TokenAction, WordAction
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.generation.search_contexts import TokenContexts, WordContexts

ACTION = WordAction(BOTH)


@lru_cache
def marked_tokenizer():
    """As SentencePiece makes them: a mark for each space and before each text, bytes for what is unknown, `<s>`."""

    def make(model):
        made = Tokenizer(model)
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        return made

    trained = make(models.BPE())
    special = ["<unk>", "<s>", "</s>"]
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=200, special_tokens=special))
    learnt = json.loads(trained.to_str())["model"]
    vocab = {**learnt["vocab"]}
    vocab |= {f"<0x{byte:02X}>": len(vocab) + byte for byte in range(256)}
    merges = [tuple(pair) for pair in learnt["merges"]]
    state = make(models.BPE(vocab, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    state.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=state, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>"
    )


@lru_cache
def demo_tokenizer():
    return AutoTokenizer.from_pretrained(Path(hf_equi.__file__).parent / "assets" / "demo_lm")


TOKENIZERS = {"bytes": tokenizer, "marks": marked_tokenizer, "demo": demo_tokenizer}


def word_contexts(make, prompts):
    encoded = make()(prompts, return_tensors="pt", padding=True, padding_side="left")
    return WordContexts(ACTION, make(), encoded["input_ids"], encoded["attention_mask"], make().pad_token_id)


def decoded(make, ids):
    return make().decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_continuations_follow_prompts_unchanged(name):
    """Also where a word begins in the prompt, after spaces, line breaks and letters of several bytes."""
    make = TOKENIZERS[name]
    prompts = ["the man, the wo", "He said ", "He said", "Th", "I", "the end.\n", "“", "café", "a  man"]
    saids = ["man said", " was", "e woman", "\nThe man", "  two", "", "é", "café.", "”", "2 men"]
    for said in saids:
        contexts = word_contexts(make, prompts)
        assert contexts.prompts == prompts
        contexts.said = [said] * len(prompts)
        for row, prompt in enumerate(prompts):
            tokens = contexts.sequence(row)
            width = contexts.prompt_ids.shape[1]
            assert torch.equal(tokens[:width], contexts.prompt_ids[row])
            assert decoded(make, tokens) == prompt + said


def test_decomposed_prompts_keep_their_tokens_and_move_as_composed_ones():
    make = TOKENIZERS[next(iter(TOKENIZERS))]
    contexts = word_contexts(make, ["the cafe\u0301 man"])
    contexts.said = [" said"]
    contexts.rows()
    assert contexts.members[0] == "the café man said"
    assert decoded(make, contexts.sequence(0)) == "the cafe\u0301 man said"


@pytest.mark.parametrize("name", TOKENIZERS)
def test_words_are_accepted_whole(name):
    """A draft of every member, pulled back; a word that begins in the prompt stays as it is."""
    make = TOKENIZERS[name]
    contexts = word_contexts(make, ["the man said", "the black wo"])
    for said in (" that he and the", "man he asian"):
        for g in range(6):
            contexts.said = ["", ""]
            ids, mask = contexts.rows()
            assert ids.shape == mask.shape
            draft = contexts._encode("x" + said)[len(contexts._encode("x")) :]
            assert contexts._decode(contexts._encode("x") + draft) == "x" + said
            for token in draft:
                contexts.extend(torch.full((12,), token), torch.ones(12, dtype=torch.bool))
            texts = contexts.texts()
            chosen = torch.tensor([g, 6 + g])
            contexts.accept(chosen, torch.zeros(2, dtype=torch.bool))
            for row, prompt in enumerate(("the man said", "the black wo")):
                member = ACTION.apply(g, prompt)
                assert texts[6 * row + g] == member + said
                assert contexts.prompts[row] + contexts.said[row] == ACTION.invert(g, member + said, len(member))


def test_special_tokens():
    """Those before a prompt are kept; the one that ends a text comes back, others stay in it."""
    ids = torch.tensor([[1, 0, *tokenizer()("the man")["input_ids"]]])
    contexts = WordContexts(ACTION, tokenizer(), ids, torch.tensor([[0, 1, 1, 1]]), 1)
    assert contexts.heads == [[0]]
    assert contexts.prompts == ["the man"]
    word = tokenizer()(" he")["input_ids"]
    for draft, ended, said, after in (
        ([*word, 0], True, " he", [*word, 0]),
        ([*word, 1], False, f" he{PAD}", [*word, 1]),
        ([0], False, END, [0]),
    ):
        contexts.said = [""]
        contexts.rows()
        for token in draft:
            contexts.extend(torch.full((6,), token), torch.ones(6, dtype=torch.bool))
        contexts.accept(torch.tensor([0]), torch.tensor([ended]))
        assert contexts.said == [said]
        assert contexts.sequence(0).tolist() == ids[0].tolist() + after


def test_a_character_that_is_not_whole_waits_for_the_next_draft():
    contexts = word_contexts(tokenizer, ["the man"])
    contexts.rows()
    for token in tokenizer()(" é")["input_ids"][:-1]:
        contexts.extend(torch.full((6,), token), torch.ones(6, dtype=torch.bool))
    contexts.accept(torch.tensor([0]), torch.tensor([False]))
    assert contexts.said == [" "]


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_frames_of_tokens(data):
    """Members are images of the frame, scores of members are pulled back, and what is kept stands in the frame."""
    action = TokenAction(BOTH, resolve_tokens(BOTH, tokenizer(), 343))
    token = st.one_of(st.integers(2, 342), st.sampled_from(action.moved.tolist()))
    ids = torch.tensor(data.draw(st.lists(st.lists(token, min_size=3, max_size=3), min_size=1, max_size=3)))
    contexts = TokenContexts(action, tokenizer(), ids, torch.ones_like(ids), 1)
    rows, mask = contexts.rows()
    assert mask.all()
    everyone = torch.arange(len(ids) * 6)
    drafted = torch.tensor([data.draw(token) for _ in everyone])
    members = contexts.to_member(everyone, drafted)
    scores = torch.randn(len(everyone), 343)
    framed = contexts.to_frame(scores)
    for row in everyone.tolist():
        g = row % 6
        assert rows[row // 6, g].tolist() == action.permutations[g][ids[row // 6]].tolist()
        assert members[row] == action.permutations[g][drafted[row]]
        assert framed[row, drafted[row]] == scores[row, members[row]]
    going = torch.arange(len(everyone)) % 2 == 0
    contexts.extend(drafted, torch.ones_like(going))
    contexts.extend(drafted, going)
    chosen = torch.tensor([6 * text + data.draw(st.integers(0, 5)) for text in range(len(ids))])
    texts = contexts.texts()
    contexts.accept(chosen, ~going[chosen])
    for text, row in enumerate(chosen.tolist()):
        said = [int(drafted[row])] * (2 if going[row] else 1)
        assert contexts.sequence(text).tolist() == ids[text].tolist() + said
        member = action.permutations[row % 6][torch.tensor(ids[text].tolist() + said)].tolist()
        assert texts[row] == tokenizer().decode(member)
    contexts.keep(torch.tensor([len(ids) - 1]))
    assert contexts.count == 1
    assert contexts.sequence(0)[:3].tolist() == ids[-1].tolist()
