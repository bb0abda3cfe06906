"""`hf-equi generate` with a sequence-to-sequence model."""

from __future__ import annotations

import json

import pytest
import torch
from small_seq2seq import TWO, fresh, tokenizers

from hf_equi import symmetrize

SHORT = ("--max-new-tokens", "5", "--greedy")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The folders of a T5 and of the same symmetrised, and the file of a group."""
    path = tmp_path_factory.mktemp("t5")
    for part in (fresh("t5"), tokenizers("t5")[0]):
        part.save_pretrained(path / "base")
    symmetrize(fresh("t5"), TWO, "canonical", tokenizer=tokenizers("t5")[0]).save_pretrained(path / "equi")
    (path / "two.json").write_text(TWO.to_json())
    return path


def test_both_models_stand_side_by_side(run, places):
    result = run("generate", "-m", places / "base", "-g", places / "two.json", "-p", "jump and walk", *SHORT, "--json")
    assert result.status == 0, result.err
    document = json.loads(result.out)
    [orbit] = document["prompts"]
    jump, run_ = orbit["orbit"]
    assert (jump["moved"], run_["moved"]) == (["jump"], ["run"])
    swap = {"jump": "run", "run": "jump", "I_JUMP": "I_RUN", "I_RUN": "I_JUMP"}
    texts = [one["equi_lm"][0]["completion"].split() for one in (jump, run_)]
    assert [swap.get(word, word) for word in texts[0]] == texts[1]
    assert document["gap"]["equi_lm"]["largest"] < 1e-5 < document["gap"]["base"]["largest"]
    lines = run("generate", "-m", places / "base", "-g", places / "two.json", "-p", "jump", *SHORT).out
    assert "EquiForSeq2SeqLM\tjump\t" in lines


def test_a_saved_model_keeps_its_method_unless_another_is_named(run, places):
    own = run("generate", "-m", places / "equi", "-p", "jump", *SHORT, "--json")
    other = run("generate", "-m", places / "equi", "-p", "jump", *SHORT, "--method", "equizero", "--json")
    assert [json.loads(one.out)["method"] for one in (own, other)] == ["canonical", "equizero"]


def test_a_method_with_a_network_needs_a_trained_one(run, places, tmp_path):
    """A saved model keeps its network, also if its own settings are named; any other would have a random one."""
    base, own = places / "base", tmp_path / "equi"
    trained = symmetrize(fresh("t5"), TWO, "lambda", tokenizer=tokenizers("t5")[0])
    torch.nn.init.normal_(trained.lambda_network.layers[-1].weight, std=9.0)
    trained.save_pretrained(own)
    random = run("generate", "-m", base, "-g", places / "two.json", "-p", "jump", "--method", "lambda")
    assert (random.status, random.out) == (2, "")
    assert "'lambda' has a network that means nothing before it is trained: train it in Python" in random.err
    asked = ("generate", "-m", own, "-p", "jump and walk", *SHORT, "--json")
    kept = [run(*asked), run(*asked, "--method", "lambda", "-g", places / "two.json", "--average", "logits")]
    assert kept[0].status == 0, kept[0].err
    assert kept[0].out == kept[1].out
    for other in (("-g", '[["walk", "look"]]'), ("--average", "probabilities")):
        assert "before it is trained" in run(*asked, *other).err


def test_a_scorer_is_refused(run, places):
    result = run("generate", "-m", places / "equi", "-p", "jump", "--scorer", "demo")
    assert (result.status, "--scorer has no effect on a sequence-to-sequence model" in result.err) == (2, True)


def test_words_of_several_tokens_are_for_causal_models(run, places):
    result = run("generate", "-m", places / "equi", "-p", "jump", "--multi-token", "compose")
    assert (result.status, "--multi-token compose is for causal language models" in result.err) == (2, True)
