"""The encoder runs once a distinct member, and `generate` repeats the batch alone."""

from __future__ import annotations

import pytest
import torch
from small_seq2seq import FAMILIES, MOVED, SIX, encode, fresh, rows, wrap


def count_rows(model, calls):
    """Note the rows of every call of the base's encoder."""
    encoder = model.base.get_encoder()

    def note(module, args, kwargs):
        calls.append(len(kwargs["input_ids"] if "input_ids" in kwargs else args[0]))

    return encoder.register_forward_pre_hook(note, with_kwargs=True)


@pytest.mark.parametrize("settings", [{}, {"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}], ids=str)
@pytest.mark.parametrize("family", ["lstm", "t5", "bart"])
def test_the_encoder_runs_once_a_distinct_member(family, settings):
    model, calls = wrap(fresh(family), SIX), []
    hook = count_rows(model, calls)
    # Orbits of 6, 1, 2 and 3.
    batch = encode(model, ("jump and walk", "twice left", "run", "left look left"))
    model.generate(**batch, max_new_tokens=5, **settings)
    assert calls == [12]
    model(**batch, decoder_input_ids=torch.full((4, 2), 5))
    assert calls == [12, 12]
    hook.remove()


@pytest.mark.parametrize(("method", "runs"), [("equizero", 1), ("lambda", 2)])
def test_members_that_are_decoded_alone_are_encoded_once(method, runs):
    """Weights of λ take one run more."""
    model, calls = wrap(fresh("gru"), SIX, method, decoding="independent"), []
    hook = count_rows(model, calls)
    model.generate(**encode(model), max_new_tokens=5)
    assert calls == [24] * runs
    hook.remove()


@pytest.mark.parametrize("chunk", [1, 4])
def test_chunks_bound_the_rows_of_a_call(chunk):
    model, calls = wrap(fresh("bart"), SIX, orbit_chunk_size=chunk), []
    whole = wrap("bart", SIX).get_encoder()(**encode(model))
    hook = count_rows(model, calls)
    chunked = model.get_encoder()(**encode(model))
    assert sum(calls) == 24
    assert max(calls) <= chunk * len(MOVED)
    torch.testing.assert_close(chunked.last_hidden_state, whole.last_hidden_state, atol=1e-5, rtol=0)
    hook.remove()


@pytest.mark.parametrize("family", FAMILIES)
def test_members_are_what_the_base_encodes(family):
    model = wrap(family, SIX)
    encoded = model.get_encoder()(**encode(model))
    assert encoded.last_hidden_state.shape[:2] == (len(MOVED), SIX.order)
    assert encoded.elements.tolist() == [list(range(SIX.order))] * len(MOVED)
    for index, source in enumerate(rows(model)):
        for g in range(SIX.order):
            alone = model.base.get_encoder()(input_ids=model.action.source.apply(g, source)[None])
            expected, found = alone["last_hidden_state"][0], encoded.last_hidden_state[index, g, : len(source)]
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_beams_repeat_the_batch_alone(monkeypatch):
    model = wrap("bart", SIX)
    shapes = []
    forward = model.forward

    def note(*args, encoder_outputs=None, **kwargs):
        shapes.append(tuple(encoder_outputs.last_hidden_state.shape))
        return forward(*args, encoder_outputs=encoder_outputs, **kwargs)

    monkeypatch.setattr(model, "forward", note)
    batch = encode(model)
    model.generate(**batch, num_beams=3, max_new_tokens=4)
    assert set(shapes) == {(3 * len(MOVED), SIX.order, batch["input_ids"].shape[1], 16)}


@pytest.mark.parametrize(
    "settings", [{}, {"num_beams": 2}, {"do_sample": True, "num_return_sequences": 2, "seed": 3}], ids=str
)
@pytest.mark.parametrize("method", ["equitune", "canonical"])
def test_texts_from_encoded_sources(method, settings):
    model = wrap("t5", SIX, method)
    batch = encode(model)
    expected = model.generate(**batch, max_new_tokens=4, **settings)
    encoded = {"encoder_outputs": model.get_encoder()(**batch), "attention_mask": batch["attention_mask"]}
    assert model.generate(**encoded, max_new_tokens=4, **settings).tolist() == expected.tolist()


@pytest.mark.parametrize("side", ["left", "right"])
def test_weights_pass_over_padding(side):
    model = wrap("lstm", SIX, "lambda")
    together = model.get_encoder()(**encode(model, side=side)).log_weights
    assert torch.allclose(together.exp().mean(1), torch.ones(len(MOVED)))
    for index, source in enumerate(rows(model)):
        alone = model.get_encoder()(source[None]).log_weights[0]
        torch.testing.assert_close(together[index], alone, atol=1e-5, rtol=0)


def test_weights_are_of_the_members_and_not_of_who_came_in():
    model = wrap("gru", SIX, "lambda")
    batch = encode(model)
    weights = model.get_encoder()(**batch).log_weights
    for g in range(SIX.order):
        moved = {**batch, "input_ids": model.action.source.apply(g, batch["input_ids"])}
        # The member h of gx is the member hg of x.
        torch.testing.assert_close(
            model.get_encoder()(**moved).log_weights, weights[:, SIX.product[:, g]], atol=1e-5, rtol=0
        )


def test_given_elements_alone():
    model = wrap("gru", SIX, "lambda")
    batch, elements = encode(model), torch.tensor([0, 3, 5, 1])
    one = model.get_encoder()(**batch, elements=elements)
    whole = model.get_encoder()(**batch)
    assert one.last_hidden_state.shape[1] == 1
    assert one.log_weights is None
    expected = whole.last_hidden_state[torch.arange(4), elements]
    torch.testing.assert_close(one.last_hidden_state[:, 0], expected, atol=1e-5, rtol=0)


def test_the_model_is_no_part_of_its_encoder():
    assert list(wrap("gru", SIX).get_encoder().parameters()) == []
