"""All ways of decoding, with the hidden state as the cache."""

from __future__ import annotations

import literal_seq2seq
import pytest
import torch
from small_networks import CELLS, network, network_over, pad, sentences

LENGTHS = (4, 1, 6, 3, 5, 2)


def texts_of(ids: torch.Tensor) -> list[list[int]]:
    """Each up to its end token."""
    return [row[: row.index(2) + 1] if 2 in row else row for row in ids.tolist()]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("cell", CELLS)
def test_greedy_texts_are_those_of_a_loop(cell, side):
    model, rows = network(cell, seed=1), sentences(LENGTHS)
    source, mask = pad(rows, side)
    found = texts_of(model.generate(source, attention_mask=mask, max_new_tokens=6, do_sample=False))
    assert found == [literal_seq2seq.greedy(model, row, 6) for row in rows]
    assert len(set(map(tuple, found))) > 1


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("how", [{"num_beams": 1}, {"num_beams": 3}, {"num_beams": 4, "length_penalty": 0.5}])
def test_the_cache_makes_no_difference(cell, how):
    model = network(cell, seed=1)
    source, mask = pad(sentences(LENGTHS))
    how = {"attention_mask": mask, "max_new_tokens": 6, "do_sample": False, **how}
    assert torch.equal(model.generate(source, use_cache=True, **how), model.generate(source, use_cache=False, **how))


def test_beams_find_texts_of_a_higher_score():
    model = network(seed=1)
    source, mask = pad(sentences(LENGTHS))

    def score(ids: torch.Tensor) -> torch.Tensor:
        logs = model(source, mask, decoder_input_ids=ids[:, :-1]).logits.log_softmax(-1)
        return logs.gather(2, ids[:, 1:, None]).sum((1, 2))

    how = {"attention_mask": mask, "max_new_tokens": 5, "eos_token_id": None, "do_sample": False}
    beams, greedy = (model.generate(source, num_beams=beams, **how) for beams in (5, 1))
    assert (score(beams) >= score(greedy) - 1e-5).all()
    assert not torch.equal(beams, greedy)


def test_a_seed_determines_the_samples():
    model = network()
    source, mask = pad(sentences(LENGTHS))

    def sample(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return model.generate(source, attention_mask=mask, do_sample=True, max_new_tokens=6, num_return_sequences=3)

    assert sample(1).shape[0] == 3 * len(LENGTHS)
    assert torch.equal(sample(1), sample(1))
    assert not torch.equal(sample(1), sample(2))


def test_several_beams_are_returned_best_first():
    model = network(seed=1)
    source, mask = pad(sentences(LENGTHS))
    how = {"attention_mask": mask, "max_new_tokens": 5, "num_beams": 4, "do_sample": False}
    out = model.generate(source, num_return_sequences=3, return_dict_in_generate=True, output_scores=True, **how)
    rows = out.sequences.view(len(LENGTHS), 3, -1)
    best = model.generate(source, **how)
    assert torch.equal(rows[:, 0, : best.shape[1]], best)
    assert (out.sequences_scores.view(-1, 3).diff(dim=1) <= 0).all()
    assert all(len(set(map(tuple, row.tolist()))) == 3 for row in rows)


@pytest.mark.parametrize("beams", [1, 3])
def test_prompts_of_the_decoder_may_be_padded_on_the_left(beams):
    model, source = network(seed=1), torch.stack(sentences((4, 4)))
    prompts = [torch.tensor([1, 5, 6]), torch.tensor([1])]
    ids, mask = pad(prompts, "left")
    how = {"max_new_tokens": 5, "num_beams": beams, "do_sample": False, "eos_token_id": None}
    found = model.generate(source, decoder_input_ids=ids, decoder_attention_mask=mask, **how)
    for index, prompt in enumerate(prompts):
        wanted = model.generate(source[index : index + 1], decoder_input_ids=prompt[None], **how)
        assert found[index, 3:].tolist() == wanted[0, len(prompt) :].tolist()


def test_the_encoder_runs_once(monkeypatch):
    model = network_over("cyclic 2")
    calls = []
    monkeypatch.setattr(
        model.encoder,
        "forward",
        lambda *args, run=model.encoder.forward, **kwargs: calls.append(args) or run(*args, **kwargs),
    )
    model.generate(torch.stack(sentences((4, 4))), max_new_tokens=4, num_beams=2, eos_token_id=None)
    assert len(calls) == 1


def test_assistants_are_refused():
    how = {"max_new_tokens": 8, "eos_token_id": None}
    with pytest.raises(ValueError, match="not supported with stateful models, such as RecurrentSeq2Seq"):
        network().generate(torch.stack(sentences((4,))), prompt_lookup_num_tokens=2, **how)
