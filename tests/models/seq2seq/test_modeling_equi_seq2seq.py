"""EquiForSeq2SeqLM's forward: the equations, equivariance, the loss, the cache, and what it refuses."""

from __future__ import annotations

import literal_seq2seq_orbits as literal
import pytest
import torch
from small_seq2seq import FAMILIES, GROUPS, MOVED, SIX, TWO, encode, fresh, rows, targets, wrap
from torch.nn.functional import cross_entropy
from transformers import DynamicCache
from transformers.utils.generic import find_labels

from hf_equi import DemographicGroup, EquiForSeq2SeqLM, registration
from hf_equi.bases.compat import cache_of
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError
from hf_equi.models.seq2seq.methods import equizero
from hf_equi.testing import assert_equivariant

METHODS = [
    ("equitune", {"average": "logits"}),
    ("equitune", {"average": "probabilities"}),
    ("equizero", {"loss": "max_probability"}),
    ("equizero", {"loss": "entropy"}),
    ("equizero", {"loss": "published_entropy"}),
    ("lambda", {"average": "logits"}),
    ("lambda", {"average": "probabilities"}),
]

IN_CONTRACT = ("rnn", "bart")
"""Families for which `tests/models/test_contract.py` asks what is asked here of the others."""


def scorer(model, length, **settings):
    """Scores of source and target side by side, numbered as `model.action.joint` numbers them."""

    def score(joint):
        source, target = joint[:, :length], joint[:, length:] - model.config.vocab_size
        with torch.no_grad():
            return model(source, decoder_input_ids=target, **settings).logits

    return score


def assert_forward_equivariant(model, texts=MOVED):
    batch = encode(model, texts)
    joint = model.action.join(batch["input_ids"], targets(model, len(texts)))
    score = scorer(model, batch["input_ids"].shape[1], attention_mask=batch["attention_mask"])
    assert_equivariant(score, joint, model.action.joint, model.action.target)


CASES = [("lstm", *case) for case in METHODS]
CASES += [(family, *METHODS[index]) for family in FAMILIES if family != "lstm" for index in (1, 2, 5)]


@pytest.mark.parametrize(("family", "method", "settings"), CASES)
def test_forward_is_the_equation(family, method, settings):
    model = wrap(family, SIX, method, **settings)
    prefix = targets(model)
    out = model(**encode(model), decoder_input_ids=prefix)
    assert out.cache is None
    assert (out.group_weights is None) == (method != "lambda")
    for index, source in enumerate(rows(model)):
        expected = literal.forward(model, source, prefix[index])
        torch.testing.assert_close(out.logits[index], expected, atol=1e-5, rtol=0)
        if method == "equizero":
            element, margin = literal.choose(model, source, prefix[index])
            assert int(out.chosen_element[index]) == element
            torch.testing.assert_close(float(out.margin[index]), margin, atol=1e-5, rtol=1e-4)
        if method == "lambda":
            expected = literal.lambda_weights(model, source)
            torch.testing.assert_close(out.group_weights[index], expected, atol=1e-5, rtol=0)
            assert expected.max() > 1.02 * expected.min()


@pytest.mark.parametrize("method", ["equitune", "equizero", "lambda"])
@pytest.mark.parametrize("group", ["two", "three"])
def test_smaller_groups_are_the_equation_too(group, method):
    model = wrap("gru", GROUPS[group], method)
    prefix = targets(model)
    out = model(**encode(model), decoder_input_ids=prefix).logits
    for index, source in enumerate(rows(model)):
        torch.testing.assert_close(out[index], literal.forward(model, source, prefix[index]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["equizero", "lambda"])
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in IN_CONTRACT])
def test_forward_is_equivariant(family, method):
    assert_forward_equivariant(wrap(family, SIX, method))


def test_a_source_that_the_group_fixes_is_equivariant_in_its_target_alone():
    model = wrap("lstm", SIX)
    assert_forward_equivariant(model, ("twice left", "jump twice", "walk"))
    fixed = encode(model, ("twice left",))
    first = model(**fixed, decoder_input_ids=torch.tensor([[1]])).logits[0, -1]
    for g in range(SIX.order):
        torch.testing.assert_close(model.action.target.pull_back(g, first), first, atol=1e-6, rtol=0)


def test_canonical_runs_the_smallest_member_alone():
    model = wrap("gru", SIX, "canonical")
    source, prefix = rows(model)[2], targets(model, 1)
    out = model(source[None], decoder_input_ids=prefix)
    g = int(out.chosen_element)
    assert model.action.source.apply(g, source).tolist() == min(model.action.source.permutations[:, source].tolist())
    torch.testing.assert_close(
        out.logits[0], literal.members(model.base, model.action, source, prefix[0])[g], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", ["rnn", "lstm", "t5"])
def test_padding_makes_no_difference(family, side):
    model, prefix = wrap(family, SIX, "lambda"), targets(wrap(family))
    out = model(**encode(model, side=side), decoder_input_ids=prefix).logits
    for index, source in enumerate(rows(model)):
        alone = model(source[None], decoder_input_ids=prefix[index : index + 1]).logits[0]
        torch.testing.assert_close(out[index], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["equitune", "equizero", "lambda"])
@pytest.mark.parametrize("family", ["lstm", "t5", "marian"])
def test_the_loss_is_the_cross_entropy(family, method):
    model = wrap(family, TWO, method)
    labels = targets(model)
    labels[1, 3:] = -100
    batch = encode(model)
    out = model(**batch, labels=labels)
    inputs = model.prepare_decoder_input_ids_from_labels(labels)
    assert inputs[1].tolist() == [model.config.decoder_start_token_id, *labels[1, :3].tolist(), 0]
    assert inputs[0].tolist() == [model.config.decoder_start_token_id, *labels[0, :-1].tolist()]
    counted = labels != -100
    for index, source in enumerate(rows(model)):  # equizero goes by the places that count
        expected = literal.forward(model, source, inputs[index][counted[index]])
        torch.testing.assert_close(out.logits[index][counted[index]], expected, atol=1e-5, rtol=0)
    taken = out.logits.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)[counted]
    torch.testing.assert_close(out.loss, -taken.mean())
    torch.testing.assert_close(model(**batch, labels=labels, num_items_in_batch=7).loss, -taken.sum() / 7)
    given = model(**batch, labels=labels, decoder_input_ids=inputs)
    torch.testing.assert_close(given.loss, cross_entropy(given.logits.transpose(1, 2), labels))


@pytest.mark.parametrize("method", ["equitune", "lambda", "canonical"])
@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_one_at_a_time(family, method):
    model = wrap(family, SIX, method)
    batch, prefix = encode(model), targets(model)
    whole = model(**batch, decoder_input_ids=prefix).logits
    encoded = model.get_encoder()(**batch)
    cache = None
    for place in range(prefix.shape[1]):
        out = model(
            attention_mask=batch["attention_mask"],
            encoder_outputs=encoded,
            decoder_input_ids=prefix[:, place : place + 1],
            cache=cache,
            use_cache=True,
        )
        cache = out.cache
        torch.testing.assert_close(out.logits[:, 0], whole[:, place], atol=1e-5, rtol=1e-5)
    cache.reset()
    again = model(**batch, decoder_input_ids=prefix, cache=cache).logits
    torch.testing.assert_close(again, whole, atol=1e-5, rtol=1e-5)
    last = model(**batch, decoder_input_ids=prefix, logits_to_keep=2).logits
    torch.testing.assert_close(last, whole[:, -2:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("given", [{"use_cache": True}, {"cache": DynamicCache()}], ids=str)
def test_equizero_takes_no_cache(given):
    """It chooses by whole outputs; after a cache it would choose by each token alone."""
    model = wrap("t5", SIX, "equizero")
    with pytest.raises(ConfigurationError, match=r"chooses a member by its whole output.*leave .*use_cache out"):
        model(**encode(model), decoder_input_ids=targets(model), **given)


def test_what_chooses_is_refused_by_its_own_name(monkeypatch):
    monkeypatch.setitem(registration._TASKS["seq2seq"].methods, "surest", equizero)
    model = wrap("t5", SIX, "surest")
    batch = {**encode(model), "decoder_input_ids": targets(model)}
    with pytest.raises(ConfigurationError, match=r'^method="surest" chooses a member'):
        model(**batch, use_cache=True)
    with pytest.raises(ConfigurationError, match='method="surest" chooses by the places'):
        model(**batch, num_items_in_batch=3)


def test_group_of_a_call():
    model, other = wrap("lstm", TWO), wrap("lstm", SIX)
    batch = {**encode(model), "decoder_input_ids": targets(model)}
    torch.testing.assert_close(model(**batch, group=SIX).logits, other(**batch).logits)
    assert model.group == TWO
    with pytest.raises(ConfigurationError, match=r"group='gender' is not a DemographicGroup"):
        model(**batch, group="gender")
    with pytest.raises(ActionError, match=r"do not move as they are written.*swim/fly"):
        model(**batch, group=DemographicGroup([["swim", "fly"]]))


def test_labels_are_found():
    assert find_labels(EquiForSeq2SeqLM) == ["labels"]


def test_missing_inputs_are_refused():
    model = wrap("gru")
    batch, prefix = encode(model), targets(model)
    with pytest.raises(ConfigurationError, match="needs input_ids, or the encoder_outputs made"):
        model(decoder_input_ids=prefix)
    with pytest.raises(ConfigurationError, match="needs decoder_input_ids or labels"):
        model(**batch)
    for name in ("inputs_embeds", "decoder_inputs_embeds"):
        with pytest.raises(ConfigurationError, match="cannot read embeddings: pass token ids"):
            model(**batch, decoder_input_ids=prefix, **{name: torch.zeros(4, 5, 8)})
    for name in ("output_hidden_states", "output_attentions"):
        with pytest.raises(ConfigurationError, match=r"returns only scores.*model\.unwrap\(\)"):
            model.get_encoder()(**batch, **{name: True})


def test_encoder_outputs_of_the_base_are_refused():
    model = wrap("bart")
    batch = encode(model)
    alone = model.base.get_encoder()(**batch)
    with pytest.raises(ConfigurationError, match=r"must come from this model's encoder"):
        model(encoder_outputs=alone, decoder_input_ids=targets(model))


@pytest.mark.parametrize("family", ["lstm", "bart"])
def test_other_caches_are_refused(family):
    model = wrap(family, TWO)
    batch, prefix = encode(model), targets(model)
    plain = cache_of(model.base(**batch, decoder_input_ids=prefix, use_cache=True))
    with pytest.raises(UnsupportedModelError, match="filled by another model"):
        model(**batch, decoder_input_ids=prefix, cache=plain)
    own = model(**batch, decoder_input_ids=prefix, use_cache=True).cache
    with pytest.raises(UnsupportedModelError, match="holds orbits of"):
        model(**batch, decoder_input_ids=prefix, cache=own, group=SIX)


def test_resizing_is_refused():
    model = wrap(fresh("bart"))
    with pytest.raises(ConfigurationError, match="was made for 18 tokens, not for another size"):
        model.resize_token_embeddings(30)
