"""Training on a model's own tokens: the rollouts are those of literal loops."""

from __future__ import annotations

import literal_seq2seq_orbits as literal
import pytest
import torch
from small_seq2seq import END, SIX, encode, fresh, rows, targets, wrap
from torch.nn.functional import cross_entropy

CASES = [
    ("equitune", {}),
    ("equitune", {"average": "probabilities"}),
    ("lambda", {}),
    ("equitune", {"decoding": "independent"}),
    ("lambda", {"decoding": "independent"}),
    ("equizero", {}),
    ("equizero", {"loss": "entropy"}),
]


def trained(family, method, ratio, **settings):
    """A model in training, its bases without dropout."""
    model = wrap(fresh(family), SIX, method, **settings)
    model.config.teacher_forcing_ratio = ratio
    return model.train()


def mask_behind_end(scores, labels):
    """The labels up to the end that a sentence says itself."""
    said = scores.argmax(-1).tolist()
    length = said.index(END) + 1 if END in said else len(said)
    return torch.cat([labels[:length], torch.full_like(labels[length:], -100)])


@pytest.mark.parametrize(
    ("family", "method", "settings"),
    [(family, *case) for family in ("rnn", "gru") for case in CASES]
    + [(family, *CASES[index]) for family in ("t5", "bart") for index in (0, 3, 5)],
)
def test_rollouts_are_those_of_the_loops(family, method, settings):
    model = trained(family, method, 0.0, **settings)
    labels = targets(model, length=6)
    labels[2, 4:] = -100
    out = model(**encode(model), labels=labels)
    model.eval()
    labelled = (labels != -100).sum(1).tolist()
    expected = [literal.roll_out(model, source, 6, count) for source, count in zip(rows(model), labelled, strict=True)]
    kept = torch.stack([mask_behind_end(scores, own) for scores, own in zip(expected, labels, strict=True)])
    for found, scores, own in zip(out.logits, expected, kept, strict=True):
        live = own != -100
        torch.testing.assert_close(found[live], scores[live], atol=1e-5, rtol=5e-5)
    loss = cross_entropy(torch.cat(expected), kept.flatten())
    torch.testing.assert_close(out.loss, loss, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(out.loss, model(**encode(model), labels=labels).loss)  # that is forced


@pytest.mark.parametrize(("method", "settings"), CASES)
def test_ratio_one_is_teacher_forcing(method, settings):
    model = trained("gru", method, 1.0, **settings)
    labels = targets(model)
    loss = model(**encode(model), labels=labels).loss
    assert torch.equal(loss, model.eval()(**encode(model), labels=labels).loss)


@pytest.mark.parametrize(("method", "settings"), CASES)
def test_some_sentences_are_forced(method, settings, monkeypatch):
    """Forced ones have the scores of teacher forcing, the others those of the rollout."""
    coins = torch.tensor([0.1, 0.9, 0.9, 0.1])
    monkeypatch.setattr(torch, "rand", lambda size: coins[:size])
    model = trained("rnn", method, 0.5, **settings)
    labels = targets(model, length=6)
    out = model(**encode(model), labels=labels)
    inputs = model.prepare_decoder_input_ids_from_labels(labels)
    model.eval()
    total = []
    for index, source in enumerate(rows(model)):
        forced = bool(coins[index] < 0.5)
        scores = literal.forward(model, source, inputs[index]) if forced else literal.roll_out(model, source, 6, 6)
        own = labels[index] if forced else mask_behind_end(scores, labels[index])
        live = own != -100
        torch.testing.assert_close(out.logits[index][live], scores[live], atol=1e-5, rtol=5e-5)
        total.append((scores[live], own[live]))
    expected = cross_entropy(torch.cat([scores for scores, _ in total]), torch.cat([own for _, own in total]))
    torch.testing.assert_close(out.loss, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("method", "settings"), CASES)
def test_the_loss_of_a_rollout_is_invariant(method, settings):
    model = trained("lstm", method, 0.0, **settings)
    batch, labels = encode(model), targets(model)
    loss = model(**batch, labels=labels).loss
    for g in range(1, SIX.order):
        moved = {**batch, "input_ids": model.action.source.apply(g, batch["input_ids"])}
        again = model(**moved, labels=model.action.target.apply(g, labels)).loss
        torch.testing.assert_close(again, loss, atol=1e-5, rtol=1e-5)


def test_evaluation_is_forced():
    model = trained("gru", "equitune", 0.0).eval()
    labels = targets(model)
    inputs = model.prepare_decoder_input_ids_from_labels(labels)
    out = model(**encode(model), labels=labels)
    assert torch.equal(out.logits, model(**encode(model), decoder_input_ids=inputs).logits)
