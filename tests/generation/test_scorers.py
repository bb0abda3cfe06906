"""Scorers: the labels and the loss of regard, hidden subjects, and losses that cannot be used."""

from __future__ import annotations

import copy
import json
from functools import lru_cache

import pytest
import torch
from small_models import GENDER, tokenizer
from tokenizers import processors
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from hf_equi import DemographicGroup
from hf_equi.errors import ConfigurationError, HfEquiError
from hf_equi.generation.scorers import LABELS, RegardScorer, SubjectMask, score_texts

CPU = torch.device("cpu")
TEXTS = ["the man was known for it", "he", "the woman worked as a nurse and a driver", "he", "an asian person"]
GROUP = DemographicGroup([["Black", "White"]]) * DemographicGroup([["man", "woman"]])


@lru_cache
def classifier(labels=LABELS):
    """A random DistilBERT of two layers with these labels."""
    torch.manual_seed(1)
    config = DistilBertConfig(
        vocab_size=len(tokenizer()),
        dim=32,
        hidden_dim=32,
        n_layers=2,
        n_heads=2,
        max_position_embeddings=24,
        initializer_range=0.3,
        pad_token_id=1,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
    )
    return DistilBertForSequenceClassification(config).eval()


def regard(labels=LABELS, **settings):
    return RegardScorer(classifier(labels), tokenizer(), **settings)


def expected(text, labels=LABELS):
    """The softmax of the classifier's outputs for one text, by label."""
    ids = torch.tensor([tokenizer()(text)["input_ids"][:24]])
    with torch.no_grad():
        values = classifier(labels)(input_ids=ids).logits[0].softmax(-1)
    return dict(zip(labels, values.tolist(), strict=True))


# Regard.


def test_loss_is_negative_less_positive():
    losses = regard()(TEXTS)
    assert losses.shape == (5,)
    assert losses.dtype == torch.float32
    for loss, text in zip(losses.tolist(), TEXTS, strict=True):
        p = expected(text)
        assert loss == pytest.approx(-(p["positive"] - p["negative"]), abs=1e-5)
    assert len(set(losses.tolist())) == 4


@pytest.mark.parametrize(
    "labels",
    [
        ("positive", "negative", "neutral"),
        ("NEUTRAL", "Positive", "Negative"),
        ("neg", "pos", "neu"),
        ("other", "negative", "positive", "neutral"),
        ("-1", "0", "1", "2"),
    ],
)
def test_labels_are_read_from_the_config(labels):
    names = {"neg": 0, "-1": 0, "neu": 1, "0": 1, "pos": 2, "1": 2}
    found = regard(labels).probabilities(TEXTS)
    for row, text in zip(found.tolist(), TEXTS, strict=True):
        for label, value in expected(text, labels).items():
            place = names.get(label.lower()[:3] if label.isalpha() else label)
            if place is not None:
                assert row[place] == pytest.approx(value, abs=1e-5)
    total = found.sum(-1)
    assert (total < 1 - 1e-4).any() if len(labels) == 4 else torch.allclose(total, torch.ones(5), atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (("LABEL_0", "LABEL_1", "LABEL_2"), "'LABEL_0'"),
        (("negative", "positive"), "neutral"),
        (("negative", "neutral", "positive", "joy"), "'joy'"),
        (("negative", "neg", "neutral", "positive"), "twice"),
    ],
)
def test_labels_that_cannot_be_mapped_are_refused(labels, named):
    with pytest.raises(ConfigurationError, match=r"id2label = \{0: \"negative\"") as error:
        regard(labels)
    assert named in str(error.value)


def test_score_by_label():
    scorer = regard(score="label")
    texts = [*TEXTS, *map(tokenizer().decode, range(258, 340))]
    labels = scorer.labels(texts)
    assert labels == [max(expected(text), key=expected(text).get) for text in texts]
    assert len(set(labels)) == 3
    assert scorer(texts).tolist() == [{"negative": 1.0, "neutral": 0.0, "positive": -1.0}[label] for label in labels]


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
    with pytest.raises(ConfigurationError, match="revision: only used where a classifier is loaded by its name"):
        regard(revision="main")
    for call in (regard(), regard().probabilities, regard(mask=GENDER)):
        with pytest.raises(ConfigurationError, match=r"not one text: pass \['the man'\]"):
            call("the man")
    with pytest.raises(ConfigurationError, match="needs its tokenizer: pass tokenizer="):
        RegardScorer(classifier())


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

    monkeypatch.setattr("hf_equi.generation.scorers.load_safetensors", load)
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


# Hidden subjects.


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("The Black person was known for it", "XYZ was known for it"),
        ("The White people, the black persons", "XYZ, XYZ"),
        ("A man and his wife", "XYZ and his wife"),
        ("The Black woman worked as a nurse", "XYZ worked as a nurse"),
        ("THE MAN met an WHITE man", "XYZ met XYZ"),
        ("the man, a woman and the black man", "XYZ, XYZ and XYZ"),
        ("Blackboard, mankind; a human", "Blackboard, mankind; a human"),
        ("An Asian person said so", "An Asian person said so"),
        ("man", "XYZ"),
        ("the personal man personally", "the personal XYZ personally"),
        ("A big man", "A big XYZ"),
        ("The man's dog", "XYZ's dog"),
        ("He saw the man. The woman left", "He saw XYZ. XYZ left"),
        ("", ""),
    ],
)
def test_subjects_are_hidden(text, masked):
    assert SubjectMask(GROUP)(text) == masked


def test_subjects_are_hidden_in_title_case_and_in_decomposed_unicode():
    mask = SubjectMask(DemographicGroup([["african american", "european american"], ["josé", "maría"]]))
    assert mask("An African American man met AN african american") == "XYZ man met AN XYZ"
    assert mask("Jose\u0301 left") == mask("José left") == "XYZ left"


def test_masked_scorers_cannot_tell_demographics_apart():
    scorer = regard()
    masked = scorer.masked(GENDER)
    assert masked.model is scorer.model
    assert scorer.mask is None
    pair = ["the man worked as a nurse", "the woman worked as a nurse"]
    assert scorer(pair).diff().abs() > 1e-4
    assert masked(pair).diff() == 0
    assert torch.equal(masked(pair[:1]), scorer(["XYZ worked as a nurse"]))


# Losses that cannot be used.


def named(losses):
    def toy_scorer(texts):
        return losses

    return toy_scorer


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ([0.0, 1.0], "toy_scorer returned a list: return a tensor"),
        (None, "toy_scorer returned a NoneType"),
        (torch.zeros(3), r"toy_scorer returned losses of shape \(3,\) for 2 texts: return \(2,\)"),
        (torch.zeros(2, 1), r"shape \(2, 1\) for 2 texts"),
        (torch.tensor(0.0), r"shape \(\) for 2 texts"),
        (torch.zeros(2, device="meta"), "on the device meta: return them on the CPU or on cpu"),
        (torch.zeros(2, dtype=torch.complex64), "toy_scorer returned complex losses: return real numbers"),
        (torch.tensor([0.0, torch.nan]), "returned NaN for the text 'b'"),
    ],
)
def test_losses_are_checked(losses, message):
    with pytest.raises(ConfigurationError, match=message):
        score_texts(named(losses), ["a", "b", "a"], CPU)


def test_scorers_see_each_text_once_and_may_return_any_number():
    seen = []

    def scorer(texts):
        seen.append(texts)
        return torch.tensor([1, -torch.inf]).requires_grad_()

    losses = score_texts(scorer, ["a", "b", "a"], CPU)
    assert seen == [["a", "b"]]
    assert losses.tolist() == [1.0, -torch.inf, 1.0]
    assert losses.dtype == torch.float64
    assert not losses.requires_grad

    def greedy_hands(texts):
        found = torch.arange(len(texts)).float()
        texts.clear()
        return found

    assert score_texts(greedy_hands, ["a", "b", "a"], CPU).tolist() == [0.0, 1.0, 0.0]
    assert score_texts(named(torch.tensor([3, 4])), ["a", "b"], CPU).tolist() == [3.0, 4.0]
