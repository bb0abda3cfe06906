"""`symmetrize` makes an EquiForSeq2SeqLM: from an object, from a folder, with one tokenizer or two."""

from __future__ import annotations

import pytest
import torch
from small_seq2seq import FAMILIES, SIX, TWO, base, encode, targets, tokenizers, wrap

import hf_equi
from hf_equi import DemographicGroup, EquiForSeq2SeqLM
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError
from hf_equi.models.seq2seq.task import Seq2SeqTask


@pytest.mark.parametrize("family", FAMILIES)
def test_objects_are_wrapped_and_not_copied(family):
    source, target = tokenizers(family)
    model = wrap(family, SIX)
    assert type(model) is EquiForSeq2SeqLM
    assert model.unwrap() is base(family)
    assert model.tokenizer is source
    assert model.target_tokenizer is target
    words = [source.convert_ids_to_tokens(token) for token in model.action.source.moved.tolist()]
    assert words[:5] == ["jump", "run", "walk", "look", "skip"]
    words = [target.convert_ids_to_tokens(token) for token in model.action.target.moved.tolist()]
    assert words[-5:] == ["I_JUMP", "I_RUN", "I_WALK", "I_LOOK", "I_SKIP"]


def test_folders_are_loaded(tmp_path):
    base("bart").save_pretrained(tmp_path)
    tokenizers("bart")[0].save_pretrained(tmp_path)
    model = hf_equi.symmetrize(tmp_path, TWO, "equizero", loss="entropy")
    assert type(model) is EquiForSeq2SeqLM
    assert (model.config.method, model.config.loss) == ("equizero", "entropy")
    expected = wrap("bart", TWO, "equizero", loss="entropy")
    batch = {**encode(expected), "decoder_input_ids": targets(expected)}
    assert torch.equal(model(**batch).logits, expected(**batch).logits)


def test_the_task_by_name():
    source, target = tokenizers("lstm")
    named = hf_equi.symmetrize(base("lstm"), TWO, task="seq2seq", tokenizer=source, target_tokenizer=target)
    assert type(named) is EquiForSeq2SeqLM
    with pytest.raises(UnsupportedModelError, match="RecurrentSeq2Seq is no"):
        hf_equi.symmetrize(base("lstm"), TWO, task="causal_lm", tokenizer=source)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "mixture"}, "'mixture'.*'equitune'"),
        ({"loss": "margin"}, "loss='margin' is not known"),
        ({"decoding": "alone"}, "decoding='alone' is not known"),
        ({"average": "median"}, "average='median' is not known"),
        ({"multi_token": "ignore"}, "multi_token='ignore' is not known"),
        ({"beam_length": 3}, r"beam_length: a sequence-to-sequence model from text to text does not use"),
        ({"method": "equizero", "decoding": "synchronised"}, "chooses one member by its whole output"),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        wrap("gru", TWO, **settings)


def test_other_groups_and_tokenizers_are_refused():
    with pytest.raises(ActionError, match=r"the source and the target tokenizer lack .*swim/fly"):
        wrap("gru", DemographicGroup([["swim", "fly"]]))
    source, target = tokenizers("lstm")
    with pytest.raises(
        ConfigurationError, match="The tokenizer has tokens up to 11, but the model's embedding has 10"
    ):
        hf_equi.symmetrize(base("lstm"), TWO, tokenizer=source, target_tokenizer=source)
    with pytest.raises(ConfigurationError, match="is not a tokenizer of transformers"):
        hf_equi.symmetrize(base("lstm"), TWO, tokenizer=source, target_tokenizer="target")
    relaxed = DemographicGroup([["jump", "run"]], neutral=["left"])
    with pytest.raises(ConfigurationError, match="has no relaxed variant"):
        hf_equi.symmetrize(base("lstm"), relaxed, "equizero", tokenizer=source, target_tokenizer=target)


def test_what_the_task_owns():
    task = Seq2SeqTask()
    assert task.owns(base("lstm"))
    assert task.owns(base("t5"))
    assert task.knows(base("marian").config)
    task.check_model(base("bart"))
