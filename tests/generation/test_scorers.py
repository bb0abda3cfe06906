"""Scorers: the labels and the loss of regard, hidden subjects, and losses that cannot be used."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch
from small_models import GENDER, tokenizer
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from hf_equi import DemographicGroup
from hf_equi.errors import ConfigurationError
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
    for size in (0, -1):
        with pytest.raises(ConfigurationError, match=f"batch_size={size}"):
            regard(batch_size=size)
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


def test_long_texts_are_cut():
    """The classifier has 24 positions."""
    assert regard()(["the man " * 40]).isfinite().all()


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
    assert score_texts(named(torch.tensor([3, 4])), ["a", "b"], CPU).tolist() == [3.0, 4.0]
