"""Scorers: the labels and the loss of regard, one label of any classifier, and losses that cannot be used."""

from __future__ import annotations

import pytest
import torch
from small_classifiers import LABELS, TEXTS, classifier, expected, logits
from small_models import tokenizer

from hf_equi.errors import ConfigurationError
from hf_equi.generation.scorers import LabelScorer, RegardScorer, score_texts, stored_scorer, written_scorer

CPU = torch.device("cpu")
EMOTIONS = ("joy", "Anger", "fear", "calm")


def regard(labels=LABELS, **settings):
    return RegardScorer(classifier(labels), tokenizer(), **settings)


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


# One label.


def label(name="anger", labels=EMOTIONS, problem=None, **settings):
    return LabelScorer(classifier(labels, problem_type=problem), name, tokenizer(), **settings)


@pytest.mark.parametrize("problem", [None, "single_label_classification", "multi_label_classification"])
def test_one_label_is_scored_as_the_pipeline_does(problem):
    scorer = label(problem=problem)
    assert scorer.label_names == ("Anger", "not Anger")
    found = scorer.probabilities(TEXTS)
    for row, text in zip(found.tolist(), TEXTS, strict=True):
        outputs = logits(text, EMOTIONS)
        wanted = outputs.sigmoid()[1] if problem and "multi" in problem else outputs.softmax(-1)[1]
        assert row == pytest.approx([wanted.item(), 1 - wanted.item()], abs=1e-5)
    assert torch.equal(scorer(TEXTS), found[:, 0])
    assert label(problem=problem, score="label")(TEXTS).tolist() == (found[:, 0] > 0.5).tolist()


def test_a_single_output_is_a_probability():
    found = label("toxic", ("toxic",)).probabilities(TEXTS)[:, 0]
    assert found.tolist() == pytest.approx([logits(text, ("toxic",)).sigmoid().item() for text in TEXTS], abs=1e-5)


def test_a_label_that_the_classifier_lacks_is_refused_with_those_that_it_has():
    for wanted in ("toxic", "ANGER", None):  # two labels differ by case alone
        labels = ("Anger", "anger", "fear", "calm")
        with pytest.raises(ConfigurationError, match=f"label={wanted!r} is not known: .*se one of 'Anger', 'anger'"):
            label(wanted, labels)
    assert label("anger", ("Anger", "anger", "fear", "calm")).column == 1
    with pytest.raises(ConfigurationError, match="gives a number and no labels"):
        label(problem="regression")


def test_a_stored_scorer_is_that_of_its_kind(tmp_path):
    classifier(EMOTIONS).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    scorer = LabelScorer(str(tmp_path), "joy", batch_size=3)
    again = stored_scorer(scorer.settings)
    assert again.settings == scorer.settings
    assert torch.equal(again(TEXTS), scorer(TEXTS))
    assert "label='joy'" in repr(again)
    assert written_scorer(again.settings) == f"LabelScorer({str(tmp_path)!r}, label='joy')"
    assert type(stored_scorer({"name": "demo"})) is RegardScorer
    with pytest.raises(ConfigurationError, match="The stored scorer cannot be read"):
        stored_scorer(7)


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
