"""Targets of a sequence-to-sequence model for orbits of sources, and their gaps."""

from __future__ import annotations

import pytest
import torch
from small_seq2seq import TWO, fresh, tokenizers

from hf_equi import symmetrize
from hf_equi.display import plain
from hf_equi.fairness.decoding import Decoding
from hf_equi.fairness.pair_completions import compare_pairs, pair_work

SWAP = {"jump": "run", "run": "jump", "I_JUMP": "I_RUN", "I_RUN": "I_JUMP"}
GREEDY = Decoding(max_new_tokens=6, greedy=True)


def swapped(text: str) -> str:
    return " ".join(SWAP.get(word, word) for word in text.split())


def symmetrised(family: str, method: str = "equitune"):
    source, target = tokenizers(family)
    pair = {} if source is target else {"target_tokenizer": target}
    return symmetrize(fresh(family), TWO, method, tokenizer=source, **pair).eval()


@pytest.mark.parametrize("family", ["t5", "marian-pair", "gru"])
@pytest.mark.parametrize(
    "decoding", [GREEDY, Decoding(samples=2, max_new_tokens=6, seed=3)], ids=["greedy", "sampled"]
)
def test_texts_are_exchanged_by_the_symmetrised_model_alone(family: str, decoding: Decoding) -> None:
    model, calls = symmetrised(family), []
    found = compare_pairs(model, ["jump and walk twice", "left"], decoding, lambda rows, ends: calls.append(rows))
    moved, still = found.orbits
    assert moved.moves
    assert not still.moves
    jump, run = moved.members
    assert swapped(plain(jump.prompt)) == plain(run.prompt)
    assert [swapped(plain(text)) for text in jump.equi] == [plain(text) for text in run.equi]
    assert found.equi_gap is not None
    assert found.equi_gap.largest < 1e-5 < found.base_gap.largest
    assert sum(calls) == pytest.approx(pair_work(model, ["jump and walk twice", "left"], decoding).rows)
    assert found.texts == 3 * decoding.samples


def test_the_base_writes_what_it_writes_alone() -> None:
    model = symmetrised("t5")
    ids = torch.tensor([model.tokenizer("jump twice")["input_ids"]])
    alone = model.base.generate(ids, max_new_tokens=6, do_sample=False, num_beams=1)
    written = compare_pairs(model, ["jump twice"], GREEDY).orbits[0].members[0].base[0]
    assert plain(written).split() == model.tokenizer.decode(alone[0], skip_special_tokens=True).split()


def test_members_that_are_chosen_have_a_gap_too() -> None:
    found = compare_pairs(symmetrised("t5", "equizero"), ["jump and walk twice"], GREEDY)
    assert found.equi_gap is not None
    assert found.equi_gap.largest < 1e-4
