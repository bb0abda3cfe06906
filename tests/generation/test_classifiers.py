"""Reading texts with a classifier: what is checked, which part of a text is read, and the way back from settings."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from small_classifiers import LABELS, TEXTS, classifier
from small_models import GENDER, base_model, tokenizer
from tokenizers import processors
from transformers import RobertaConfig, RobertaForSequenceClassification

from hf_equi.errors import ConfigurationError, HfEquiError
from hf_equi.generation.scorers import LabelScorer, RegardScorer


def regard(labels=LABELS, **settings):
    return RegardScorer(classifier(labels), tokenizer(), **settings)


def test_settings_are_checked():
    with pytest.raises(ConfigurationError, match="score='logits' is not known: use one of 'probability', 'label'"):
        regard(score="logits")
    for size in (0, -1, 2.0, True, "8"):
        with pytest.raises(ConfigurationError, match=f"batch_size={size!r}"):
            regard(batch_size=size)
    for mask in ("gender", [["man", "woman"]]):
        with pytest.raises(ConfigurationError, match="is not a DemographicGroup"):
            regard(mask=mask)
        with pytest.raises(ConfigurationError, match="is not a DemographicGroup"):
            regard().masked(mask)
    with pytest.raises(ConfigurationError, match="revision: only used if the classifier is loaded by name"):
        regard(revision="main")
    for call in (regard(), regard().probabilities, regard(mask=GENDER)):
        with pytest.raises(ConfigurationError, match=r"not a single text: pass \['the man'\]"):
            call("the man")
    with pytest.raises(ConfigurationError, match="needs its tokenizer: pass tokenizer="):
        RegardScorer(classifier())
    wrapped = torch.nn.Sequential(classifier())  # as peft does
    with pytest.raises(ConfigurationError, match=r"A Sequential is not a classifier .*merge_and_unload"):
        RegardScorer(wrapped, tokenizer())


def test_a_model_that_does_not_classify_is_refused_by_its_class(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}')
    with pytest.raises(
        ConfigurationError, match="is a GPT2LMHeadModel, which does not classify texts: a scorer needs"
    ):
        LabelScorer(tmp_path, "LABEL_0")
    with pytest.raises(ConfigurationError, match="The scorer is a GPT2LMHeadModel, which does not classify texts"):
        LabelScorer(base_model(), "LABEL_0", tokenizer())

    class Own(type(classifier())):
        """Of somebody else."""

    assert LabelScorer(Own(classifier().config), "positive", tokenizer()).label == "positive"


def test_a_head_counts_by_its_weights_and_what_cannot_be_read_is_said_by_loading(tmp_path):
    classifier().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "architectures": ["BertModel"]}))
    assert LabelScorer(tmp_path, "positive", tokenizer()).label == "positive"
    path.unlink()
    assert LabelScorer(tmp_path, "positive", tokenizer(), config=classifier().config).label == "positive"
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "me/base"}')
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ConfigurationError, match="adapter"):
        LabelScorer(tmp_path, "positive", tokenizer())


def test_equal_texts_are_scored_once_and_batches_are_bounded():
    seen = []
    scorer = regard(batch_size=3)
    hook = scorer.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    losses = scorer(TEXTS * 2)
    hook.remove()
    assert seen == [3, 1]
    assert torch.equal(losses[:5], losses[5:])
    torch.testing.assert_close(losses[:5], regard(batch_size=1)(TEXTS), atol=1e-5, rtol=0)


def test_no_text_has_no_loss():
    assert regard()([]).shape == (0,)
    assert regard().probabilities([]).shape == (0, 3)


def special_tokenizer():
    """Of the tests, with a special token on both sides of a text."""
    made = copy.deepcopy(tokenizer())
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<end> $A <pad>", special_tokens=[("<end>", 0), ("<pad>", 1)]
    )
    return made


def test_of_long_texts_the_end_is_read():
    """The classifier has 24 positions."""
    head = "the man " * 40
    scorer = regard()
    losses = scorer([head + "he was black .", head + "she was a nurse .", "driver " + head + "he was black ."])
    assert losses[0] != losses[1]
    assert losses[0] == losses[2]
    ids = tokenizer()(head + "he was black .")["input_ids"]
    with torch.no_grad():
        p = classifier()(input_ids=torch.tensor([ids[-24:]])).logits[0].softmax(-1)
    assert losses[0].item() == pytest.approx((p[0] - p[2]).item(), abs=1e-5)
    assert tokenizer().truncation_side == "right"
    seen = []
    hook = classifier().register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"].tolist()), with_kwargs=True
    )
    RegardScorer(classifier(), special_tokenizer())([head + "he was black ."])
    hook.remove()
    assert seen == [[[0, *ids[-22:], 1]]]


def test_positions_that_count_from_the_padding_on():
    """RoBERTa with 20 positions reads 18 tokens: those of the padding token and before it are not used."""
    torch.manual_seed(2)
    config = RobertaConfig(
        vocab_size=len(tokenizer()),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=20,
        pad_token_id=1,
        num_labels=3,
        id2label=dict(enumerate(LABELS)),
    )
    scorer = RegardScorer(RobertaForSequenceClassification(config), tokenizer())
    assert scorer._longest() == 18
    assert scorer(["the man " * 40]).isfinite().all()


def test_a_classifier_scores_in_eval_mode_and_keeps_its_own():
    model = copy.deepcopy(classifier())
    model.train()
    model.distilbert.embeddings.eval()
    modes = [module.training for module in model.modules()]
    scorer = RegardScorer(model, tokenizer())
    assert torch.equal(scorer(TEXTS), regard()(TEXTS))
    assert [module.training for module in model.modules()] == modes
    assert len(set(modes)) == 2


def test_a_tokenizer_without_padding_is_refused():
    bare = copy.deepcopy(tokenizer())
    bare.pad_token = None
    with pytest.raises(ConfigurationError, match=r"has no padding token.*set tokenizer\.pad_token"):
        RegardScorer(classifier(), bare)


def test_a_classifier_of_a_folder(tmp_path):
    classifier().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    scorer = RegardScorer(str(tmp_path), mask=GENDER, score="label", batch_size=7)
    assert not scorer.model.training
    again = RegardScorer.from_settings(scorer.settings)
    assert again.settings == scorer.settings
    assert (again.score, again.batch_size, again.mask.group) == ("label", 7, GENDER)
    assert torch.equal(again(TEXTS), regard(mask=GENDER, score="label")(TEXTS))
    assert str(tmp_path) in repr(again)
    plain = RegardScorer(tmp_path, dtype=torch.float64)
    assert plain.model.dtype == torch.float64
    assert plain.settings["mask"] is None
    assert plain.settings["from_pretrained"] == {"dtype": "float64"}
    assert json.loads(json.dumps(plain.settings)) == plain.settings
    again = RegardScorer.from_settings(plain.settings)
    assert again.model.dtype == torch.float64
    assert again.settings == plain.settings


def test_settings_lead_back_to_the_classifier_or_are_none(tmp_path, monkeypatch):
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    classifier().save_pretrained(tmp_path / "outer" / "inner")
    tokenizer().save_pretrained(tmp_path / "outer" / "inner")
    monkeypatch.chdir(tmp_path)
    scorer = RegardScorer("outer", subfolder="inner", trust_remote_code=True, cache_dir=str(tmp_path))
    assert scorer.settings["name"] == str(tmp_path / "outer")
    assert scorer.settings["from_pretrained"] == {"subfolder": "inner"}
    monkeypatch.chdir("/")
    again = RegardScorer.from_settings(scorer.settings)
    assert torch.equal(again(TEXTS), scorer(TEXTS))
    with torch.no_grad():
        next(again.model.parameters()).mul_(1.5)
    assert again.settings is None
    assert RegardScorer(scorer.model, scorer.tokenizer).settings is None  # whoever made it may have trained it
    assert scorer.masked(GENDER).settings == {**scorer.settings, "mask": GENDER.to_dict()}
    assert RegardScorer("demo").masked(GENDER).settings["name"] == "demo"


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (7, "The stored scorer cannot be read"),
        ({}, "The stored scorer cannot be read"),
        ({"name": "demo", "mask": 7}, "The stored scorer"),
        ({"name": "../scorer"}, "is not a name on the Hub"),
        ({"name": "scorer"}, "has the same name, so transformers would read it"),
    ],
)
def test_damaged_settings_and_names_that_a_folder_shadows_are_refused(tmp_path, monkeypatch, stored, message):
    (tmp_path / "scorer").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HfEquiError, match=message):
        RegardScorer.from_settings(stored)


def test_settings_of_a_checkpoint_run_no_code(monkeypatch):
    """What is stored beside a model gives no leave to run code, whoever wrote it."""
    seen = {}

    def load(auto_class, name, **kwargs):
        seen.update(kwargs)
        return classifier()

    monkeypatch.setattr("hf_equi.generation.classifiers.load_safetensors", load)
    stored = {"name": "demo", "from_pretrained": {"trust_remote_code": True, "revision": "main", "token": "secret"}}
    RegardScorer.from_settings(stored)
    assert seen == {"revision": "main"}
    RegardScorer.from_settings(stored, trust_remote_code=True)
    assert seen == {"revision": "main", "trust_remote_code": True}


def test_a_pickled_classifier_is_refused(tmp_path):
    classifier().config.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    torch.save(classifier().state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigurationError, match="holds no safetensors"):
        RegardScorer(str(tmp_path))


def test_a_classifier_without_a_name_has_no_settings():
    assert regard().settings is None


def test_masked_scorers_cannot_tell_demographics_apart():
    scorer = regard()
    masked = scorer.masked(GENDER)
    assert masked.model is scorer.model
    assert scorer.mask is None
    pair = ["the man worked as a nurse", "the woman worked as a nurse"]
    assert scorer(pair).diff().abs() > 1e-4
    assert masked(pair).diff() == 0
    assert torch.equal(masked(pair[:1]), scorer(["XYZ worked as a nurse"]))
