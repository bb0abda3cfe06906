"""The plain loop by itself; `tests/models/seq2seq/test_plain_decoding.py` compares what models write with it."""

from __future__ import annotations

import torch
from small_seq2seq import SIX, encode, fresh, wrap

from hf_equi.generation.encoded_source import EncodedSource
from hf_equi.generation.greedy_loop import Limits, write_greedily
from hf_equi.generation.plain_greedy import PlainGreedy

START, PAD, END, STEPS = 1, 0, 2, 6


def test_with_the_scores_of_the_identity_a_text_is_that_of_the_base():
    model = wrap(fresh("gru"), SIX, "equitune")
    batch = encode(model)
    action = model.action.target
    with torch.no_grad():
        encoded = model.get_encoder()(**batch)
    source = EncodedSource(encoded, batch["attention_mask"])
    orbit, ended = source.start(), []
    inputs = source.rows(orbit.batch_of_row, orbit.slot_of_row)
    frame = action.permutations[orbit.element_of_row]
    identity, texts = orbit.row_of[:, 0], len(orbit.counts)
    found = write_greedily(
        model.base,
        inputs,
        Limits.of(PlainGreedy(START, STEPS, PAD, (END,)), lambda token: torch.full((texts, 1), token)),
        lambda last: frame.gather(1, last[orbit.batch_of_row]),
        lambda logits: logits.gather(1, frame)[identity],
        lambda scores, step: scores,
        ended.append,
    )
    plain = model.base.generate(**batch, max_new_tokens=STEPS, decoder_start_token_id=START)
    assert found.tolist() == plain.tolist()
    assert torch.equal(torch.stack(ended, 1), (found[:, 1:] == END).cumsum(1) > 0)


def test_a_tie_of_one_text_does_not_stand_for_the_nan_of_another():
    model = wrap(fresh("gru"), SIX, "equitune")
    batch = encode(model)
    with torch.no_grad():
        source = EncodedSource(model.get_encoder()(**batch, elements=torch.zeros(4, dtype=torch.long)))
    asked = []

    def score(logits):
        scores = torch.zeros_like(logits)
        scores[0], scores[1:, 5], scores[1, 6] = torch.nan, 1.0, 1.0
        return scores

    def note(scores, step):
        asked.append(scores)
        return scores

    inputs = source.rows(torch.arange(4), torch.zeros(4, dtype=torch.long))
    limits = Limits.of(PlainGreedy(START, 1, PAD, (END,)), lambda token: torch.full((4, 1), token))
    write_greedily(model.base, inputs, limits, lambda last: last, score, note)
    assert len(asked) == 1
