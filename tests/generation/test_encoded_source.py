"""Encoded orbits of sources: each member once, whatever the padding and the chunk."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import pytest
import torch
from small_networks import pad
from small_seq2seq import FAMILIES, SIX, base, tokenizers
from transformers.modeling_outputs import BaseModelOutput

from hf_equi import TokenAction
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.errors import ConfigurationError
from hf_equi.generation.encoded_source import EncodedSource, OrbitEncoderOutput, encode_orbit

# 1, 2, 3 and 6 distinct members.
TEXTS = ("twice and left", "and jump", "walk", "run and look left")
DISTINCT = [1, 2, 3, 6]


def action_of(family):
    source, _ = tokenizers(family)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the target's words
        return TokenAction(SIX, resolve_tokens(SIX, source, multi_token="skip"))


def batch_of(family, side="right"):
    source, _ = tokenizers(family)
    return pad([torch.tensor(source(text)["input_ids"]) for text in TEXTS], side)


def everyone(texts=4):
    return torch.arange(6).expand(texts, -1)


@contextmanager
def rows_of(encoder):
    """How many rows each call of an encoder has."""
    counts = []
    hook = encoder.register_forward_pre_hook(
        lambda module, args, kwargs: counts.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    try:
        yield counts
    finally:
        hook.remove()


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.mark.parametrize("side", ["right", "left"])
@torch.no_grad()
def test_members_are_those_of_the_encoder_alone(family, side):
    action, model = action_of(family), base(family)
    ids, mask = batch_of(family, side)
    out = encode_orbit(model, action, everyone(), ids, mask)
    for text in range(len(ids)):
        for g in range(6):
            alone = model.get_encoder()(
                input_ids=action.apply(g, ids[text : text + 1]), attention_mask=mask[text : text + 1]
            )
            inside = mask[text].bool()
            torch.testing.assert_close(
                out.last_hidden_state[text, g, inside], alone["last_hidden_state"][0, inside], rtol=0, atol=1e-5
            )
            if "encoder_state" in alone:
                torch.testing.assert_close(out.encoder_state[text, g], alone["encoder_state"][0], rtol=0, atol=1e-5)
    assert (out.encoder_state is not None) == (family in ("rnn", "gru", "lstm"))
    assert torch.equal(out.elements, everyone())
    assert (out.rank.amax(1) + 1).tolist() == DISTINCT
    assert out.log_weights is None


@pytest.mark.parametrize("chunk", [None, 1, 2, 5])
@torch.no_grad()
def test_equal_members_are_encoded_once(family, chunk):
    action, model = action_of(family), base(family)
    ids, mask = batch_of(family)
    with rows_of(model.get_encoder()) as counts:
        out = encode_orbit(model, action, everyone(), ids, mask, chunk)
    assert sum(counts) == sum(DISTINCT)
    assert max(counts) <= (sum(DISTINCT) if chunk is None else chunk * len(ids))
    assert len(counts) == {None: 1, 1: 3, 2: 2, 5: 1}[chunk]
    whole = encode_orbit(model, action, everyone(), ids, mask)
    torch.testing.assert_close(out.last_hidden_state, whole.last_hidden_state, rtol=0, atol=1e-6)
    assert torch.equal(out.rank, whole.rank)


@torch.no_grad()
def test_some_elements_alone(family):
    action, model = action_of(family), base(family)
    ids, mask = batch_of(family)
    whole = encode_orbit(model, action, everyone(), ids, mask)
    chosen = torch.tensor([[3], [1], [0], [5]])
    with rows_of(model.get_encoder()) as counts:
        out = encode_orbit(model, action, chosen, ids, mask)
    assert counts == [4]
    expected = whole.last_hidden_state[torch.arange(4), chosen[:, 0]]
    torch.testing.assert_close(out.last_hidden_state[:, 0], expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_without_padding_no_mask_is_needed(family):
    action, model = action_of(family), base(family)
    ids = batch_of(family)[0][3:]
    out = encode_orbit(model, action, everyone(1), ids, None)
    masked = encode_orbit(model, action, everyone(1), ids, torch.ones_like(ids))
    torch.testing.assert_close(out.last_hidden_state, masked.last_hidden_state, rtol=0, atol=1e-6)


def encoded(**entries):
    """2 texts of 3 members: numbers that say which text, member, place and feature they are of."""
    hidden = torch.arange(2.0 * 3 * 4 * 5).view(2, 3, 4, 5)
    elements, rank = torch.tensor([[0, 1, 2], [2, 0, 1]]), torch.tensor([[0, 1, 0], [2, 1, 0]])
    return OrbitEncoderOutput(**{"last_hidden_state": hidden, "elements": elements, "rank": rank, **entries})


def test_rows_take_their_text_and_member():
    source = EncodedSource(encoded(), torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]))
    batch, slots = torch.tensor([1, 0, 1]), torch.tensor([2, 1, 0])
    rows = source.rows(batch, slots)
    assert set(rows) == {"encoder_outputs", "attention_mask"}
    hidden = source.encoded.last_hidden_state
    expected = torch.stack([hidden[1, 2], hidden[0, 1], hidden[1, 0]])
    assert torch.equal(rows["encoder_outputs"].last_hidden_state, expected)
    assert rows["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert "encoder_state" not in rows["encoder_outputs"]


def test_rows_take_the_state_along():
    state = torch.arange(2 * 3 * 2 * 4).view(2, 3, 2, 4)
    rows = EncodedSource(encoded(encoder_state=state)).rows(torch.tensor([1, 0]), torch.tensor([2, 1]))
    assert set(rows) == {"encoder_outputs"}
    assert torch.equal(rows["encoder_outputs"].encoder_state, torch.stack([state[1, 2], state[0, 1]]))


def test_orbits_start_where_the_sources_ended():
    source = EncodedSource(encoded())
    orbit = source.start()
    assert orbit.shared
    assert orbit.row_of.tolist() == [[0, 1, 0], [4, 3, 2]]
    assert orbit.element_of_row.tolist() == [0, 1, 1, 0, 2]
    apart = source.start(shared=False)
    assert not apart.shared
    assert apart.row_of.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert torch.equal(source.elements, source.encoded.elements)


def test_weights_are_those_of_the_source_at_all_places():
    weights = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    batch, slots = torch.tensor([1, 0]), torch.tensor([2, 1])
    received = EncodedSource(encoded(log_weights=weights)).log_weights(batch, slots, 3)
    torch.testing.assert_close(received, torch.tensor([[0.6] * 3, [0.2] * 3]))
    assert EncodedSource(encoded()).log_weights(batch, slots, 3) is None


@pytest.mark.parametrize(
    "other", [BaseModelOutput(last_hidden_state=torch.zeros(2, 4, 5)), (torch.zeros(2, 4, 5),), OrbitEncoderOutput()]
)
def test_what_another_encoder_said_is_refused(other):
    message = r"must come from this model's encoder, model\.get_encoder\(\): they hold whole orbits"
    with pytest.raises(ConfigurationError, match=message):
        _ = EncodedSource(other).elements
    with pytest.raises(ConfigurationError, match=message):
        EncodedSource(other).start()
