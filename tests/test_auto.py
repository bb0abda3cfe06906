"""`symmetrize`: what it refuses, and that it does so before weights are loaded."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig
from small_models import GENDER, base_model, tokenizer
from small_seq2seq import TWO, base, fresh, tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    BertLMHeadModel,
    BertModel,
    DPRConfig,
)

import hf_equi
from hf_equi import DemographicGroup, EquiForSeq2SeqLM, FiniteGroup, ImageGroup
from hf_equi.auto import refuse_adapter
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError


@pytest.fixture
def folder(tmp_path):
    base_model().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"group": FiniteGroup.cyclic(2)}, ConfigurationError, "DemographicGroup, not FiniteGroup"),
        (
            {"task": "vision"},
            ConfigurationError,
            "task='vision' is not known: use one of 'causal_lm', 'seq2seq', 'clip', ",
        ),
        (
            {"task": "image_classification", "group": ImageGroup.rotations(4)},
            UnsupportedModelError,
            r"'gpt2' model is not a model that classifies images \(task='image_classification'\): leave task= out",
        ),
        ({"method": "magic"}, ConfigurationError, "method='magic' is not known to .*: use one of"),
        ({"group": DemographicGroup([["zebra", "giraffe"]])}, ActionError, "zebra/giraffe"),
        ({"average": "medians"}, ConfigurationError, "average='medians'"),
        (
            {"avarage": "logits"},
            ConfigurationError,
            r"avarage= is not known. Did you mean average=\? A model that reads",
        ),
        ({"ttoken": "x"}, ConfigurationError, r"ttoken= is not known. Did you mean token=\? "),
        (
            {"magic": 1},
            ConfigurationError,
            "magic= is not known. A model .* settings action, average, .* a 'gpt2' model",
        ),
    ],
)
def test_bad_requests_fail_before_weights_are_loaded(folder, monkeypatch, arguments, error, message):
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **__: pytest.fail("weights were loaded"))
    with pytest.raises(error, match=message):
        hf_equi.symmetrize(folder, **{"group": GENDER, **arguments})


def test_arguments_of_from_pretrained_are_passed_on(folder):
    lm = hf_equi.symmetrize(str(folder), GENDER, dtype=torch.bfloat16, device_map={"": "cpu"}, attn_pdrop=0.5)
    assert lm.base.dtype == torch.bfloat16
    assert lm.base.config.attn_pdrop == 0.5


def test_model_object_needs_its_tokenizer_and_nothing_else():
    with pytest.raises(ConfigurationError, match="needs its tokenizer"):
        hf_equi.symmetrize(base_model(), GENDER)
    with pytest.raises(ConfigurationError, match="device_map, dtype: only used when a model is loaded"):
        hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer(), dtype="auto", device_map="cpu")
    with pytest.raises(ConfigurationError, match=r"avarage= is not known. Did you mean average=\?"):
        hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer(), avarage="logits")


def test_symmetrised_twice_is_refused():
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    with pytest.raises(ConfigurationError, match="unwrap it first"):
        hf_equi.symmetrize(lm, GENDER, tokenizer=tokenizer())


def test_symmetrised_folder_is_refused(tmp_path):
    hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer()).save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"already symmetrised \('equi_lm'\): load it with from_pretrained"):
        hf_equi.symmetrize(tmp_path, GENDER)


def test_the_folder_of_an_adapter_says_how_to_load_it(tmp_path):
    LoraConfig(base_model_name_or_path="gpt2", task_type="CAUSAL_LM").save_pretrained(tmp_path / "adapter")
    for arguments in ({"model": tmp_path / "adapter"}, {"model": str(tmp_path), "subfolder": "adapter"}):
        with pytest.raises(
            ConfigurationError, match=r"its base.*symmetrize\(PeftModel.from_pretrained\(base, '.*adapter'"
        ):
            hf_equi.symmetrize(group=GENDER, **arguments)
    base_model().config.save_pretrained(tmp_path / "adapter")
    refuse_adapter(tmp_path / "adapter")  # transformers loads the base that is there, too


def test_models_that_read_both_ways_are_refused():
    bert = BertLMHeadModel(BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
    with pytest.raises(UnsupportedModelError, match="BertLMHeadModel does not serve any of the known tasks"):
        hf_equi.symmetrize(bert, GENDER, tokenizer=tokenizer())


def test_what_is_no_tokenizer_is_refused():
    with pytest.raises(ConfigurationError, match="tokenizer='x' is not a tokenizer"):
        hf_equi.symmetrize(base_model(), GENDER, tokenizer="x")


def test_models_of_no_task_are_told_what_there_is():
    bert = BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8))
    message = (
        r"BertModel does not serve .*: load a model with AutoModelForCausalLM \(a model that reads from left to right "
        r"and generates text\), AutoModelForSeq2SeqLM \(.*\) or AutoModel \(a model that predicts how bodies move\)$"
    )
    with pytest.raises(UnsupportedModelError, match=message):
        hf_equi.symmetrize(bert, GENDER, tokenizer=tokenizer())


def test_configs_of_no_task_are_told_what_there_is(tmp_path):
    DPRConfig().save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"'dpr' model does not serve .*: 'causal_lm', 'seq2seq', 'clip',"):
        hf_equi.symmetrize(tmp_path, GENDER)


def test_what_is_no_model_and_no_name_is_refused():
    with pytest.raises(ConfigurationError, match="A dict is not a transformers PreTrainedModel, a folder or a name"):
        hf_equi.symmetrize({}, GENDER)


def test_tokenizer_larger_than_the_embedding_is_refused():
    import copy

    larger = copy.deepcopy(tokenizer())
    larger.add_tokens(["sunshine"])
    with pytest.raises(ConfigurationError, match="tokens up to 343, but the model's embedding has 343 rows"):
        hf_equi.symmetrize(base_model(), GENDER, tokenizer=larger)


def test_training_mode_stays():
    assert hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer()).training is False


@pytest.fixture(params=["t5", "bart", "marian-pair", "lstm"])
def family(request):
    return request.param


def test_an_encoder_decoder_becomes_one_that_is_equivariant_on_both_sides(family):
    model, (source, target) = fresh(family), tokenizers(family)
    lm = hf_equi.symmetrize(model, TWO, tokenizer=source, target_tokenizer=target)
    assert type(lm) is EquiForSeq2SeqLM
    assert lm.base is model
    assert lm.tokenizer is source
    assert lm.target_tokenizer is target
    assert [len(side.moved) for side in (lm.action.source, lm.action.target)] == [2 if source is not target else 4] * 2
    assert hf_equi.symmetrize(model, TWO, task="seq2seq", tokenizer=source, target_tokenizer=target).base is model


def test_settings_reach_the_task_that_knows_them():
    source, target = tokenizers("lstm")
    lm = hf_equi.symmetrize(
        base("lstm"), TWO, "equizero", loss="entropy", tokenizer=source, target_tokenizer=target, orbit_chunk_size=1
    )
    assert (lm.config.method, lm.config.loss, lm.config.decoding) == ("equizero", "entropy", "independent")
    assert lm.config.orbit_chunk_size == 1
    lm = hf_equi.symmetrize(base("t5"), TWO, decoding="independent", tokenizer=tokenizers("t5")[0])
    assert lm.config.decoding == "independent"


def test_an_encoder_decoder_is_no_causal_model():
    with pytest.raises(UnsupportedModelError, match="T5ForConditionalGeneration is not a model that reads from left"):
        hf_equi.symmetrize(base("t5"), TWO, task="causal_lm", tokenizer=tokenizers("t5")[0])
    with pytest.raises(UnsupportedModelError, match="GPT2LMHeadModel is not a sequence-to-sequence model"):
        hf_equi.symmetrize(base_model(), GENDER, task="seq2seq", tokenizer=tokenizer())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam_length": 3, "action": "words"}, r"^action, beam_length: a sequence-to-sequence .*\(task='seq2seq'\)"),
        ({"scorer": len}, "^scorer: a sequence-to-sequence"),
    ],
)
def test_settings_of_the_causal_task_are_refused_by_name(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        hf_equi.symmetrize(base("t5"), TWO, tokenizer=tokenizers("t5")[0], **settings)


@pytest.mark.parametrize("name", ["loss", "decoding", "target_tokenizer"])
def test_settings_of_the_other_task_are_refused_by_name(folder, name):
    with pytest.raises(ConfigurationError, match=rf"^{name}: a model that reads from .* \(task='causal_lm'\)"):
        hf_equi.symmetrize(folder, GENDER, **{name: "entropy"})


def test_what_is_no_target_tokenizer_is_refused():
    with pytest.raises(ConfigurationError, match="tokenizer='x' is not a tokenizer"):
        hf_equi.symmetrize(base("t5"), TWO, tokenizer=tokenizers("t5")[0], target_tokenizer="x")


def saved(family, path, **config):
    """The folder of a base with its tokenizer."""
    model = fresh(family)
    model.save_pretrained(path)
    tokenizers(family)[0].save_pretrained(path)
    if config:
        for name, value in config.items():
            setattr(model.config, name, value)
        model.config.save_pretrained(path)
    return path


@pytest.mark.parametrize(
    ("family", "settings"), [("t5", {}), ("bart", {}), ("lstm", {}), ("bart", {"task": "seq2seq"})]
)
def test_a_folder_is_loaded_by_the_class_that_it_was_saved_from(tmp_path, family, settings):
    settings |= {"target_tokenizer": tokenizers(family)[1]} if family == "lstm" else {}
    lm = hf_equi.symmetrize(saved(family, tmp_path), TWO, **settings)
    assert type(lm) is EquiForSeq2SeqLM
    assert type(lm.base) is type(base(family))
    assert all(torch.equal(value, base(family).state_dict()[name]) for name, value in lm.base.state_dict().items())
    assert not lm.training


@pytest.mark.parametrize("architectures", [[], ["BartModel"]])
def test_a_family_of_several_tasks_has_to_be_told_which(tmp_path, monkeypatch, architectures):
    folder = saved("bart", tmp_path, architectures=architectures)
    for auto in (AutoModelForCausalLM, AutoModelForSeq2SeqLM):
        monkeypatch.setattr(auto, "from_pretrained", lambda *_, **__: pytest.fail("weights were loaded"))
    message = r"A 'bart' model serves several tasks: choose one, task='causal_lm' or task='seq2seq'"
    with pytest.raises(ConfigurationError, match=message):
        hf_equi.symmetrize(folder, TWO)


def test_the_told_task_decides(tmp_path):
    folder = saved("bart", tmp_path, architectures=["BartModel"])
    assert type(hf_equi.symmetrize(folder, TWO, task="seq2seq")) is EquiForSeq2SeqLM


def test_a_symmetrised_encoder_decoder_is_refused_twice():
    lm = hf_equi.symmetrize(base("t5"), TWO, tokenizer=tokenizers("t5")[0])
    with pytest.raises(ConfigurationError, match="unwrap it first"):
        hf_equi.symmetrize(lm, TWO, tokenizer=tokenizers("t5")[0])
