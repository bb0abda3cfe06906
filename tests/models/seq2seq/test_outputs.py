"""Whole outputs of members: combined, chosen, cut, streamed."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig
from transformers.generation.utils import GenerateEncoderDecoderOutput

from hf_equi.actions import TokenAction
from hf_equi.actions.token_maps import TokenMap
from hf_equi.generation.coupled_sampling import Prompts
from hf_equi.groups import DemographicGroup
from hf_equi.models.seq2seq.outputs import WholeOutputs, as_greedy, take_rows, write_to
from hf_equi.symmetrizers import Equitune, Orbit

END = 2
GROUP = DemographicGroup([["he", "she"]])
PAIR = Orbit.start(torch.tensor([[0, 1], [0, 1]])).extend(torch.tensor([[[3], [4]], [[5], [5]]]))[0]
"""Two texts: the first has two members, the second one."""


def laws(*rows):
    return torch.tensor(rows).log()


def prompts(texts):
    action = TokenAction(GROUP, TokenMap(vocab_size=4, sets=(((0, 1),),)))
    ids = torch.full((texts, 1), 3)
    return Prompts(action, ids, None, 0)


def test_places_behind_an_end_have_no_opinion():
    combination = WholeOutputs(GROUP, PAIR, Equitune(), (END,), 3)
    texts = torch.tensor([[END, 3], [0, 0], [1, END]])
    sure = [0.1, 0.2, 0.6, 0.1]
    scores = laws([sure, [0.7, 0.1, 0.1, 0.1]], [[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]], [sure, sure])
    out = combination.combine(combination.inside(texts), scores, 1, None)
    first = (scores[0, 0] + scores[1, 0]) / 2
    torch.testing.assert_close(out[0, 0], first)
    torch.testing.assert_close(out[0, 1], scores[1, 1] / 2)
    torch.testing.assert_close(out[1], scores[2])
    combination = WholeOutputs(GROUP, PAIR, Equitune("probabilities"), (END,), 3)
    out = combination.combine(combination.inside(texts), scores, 1, None)
    torch.testing.assert_close(out[0, 1].exp(), scores[1, 1].exp() / 2)


def test_weights_count():
    combination = WholeOutputs(GROUP, PAIR, Equitune("probabilities"), (), 3)
    scores = laws([[0.1, 0.2, 0.6, 0.1]], [[0.4, 0.3, 0.2, 0.1]], [[0.25, 0.25, 0.25, 0.25]])
    weights = torch.tensor([[0.5, 1.5], [1.0, 1.0]]).log()
    out = combination.combine(torch.ones(3, 1, dtype=torch.bool), scores, 1, weights)
    torch.testing.assert_close(out[0, 0].exp(), torch.tensor([0.325, 0.275, 0.3, 0.1]))
    torch.testing.assert_close(out[1, 0].exp(), torch.full((4,), 0.25))


def test_samples_are_combined_one_with_one():
    """The second texts of all members make the second text."""
    orbit = Orbit.start(torch.tensor([[0, 1]]), shared=False)
    scores = torch.randn(4, 3, 4).log_softmax(-1)
    out = WholeOutputs(GROUP, orbit, Equitune(), (), 3).combine(torch.ones(4, 3, dtype=torch.bool), scores, 2, None)
    torch.testing.assert_close(out, torch.stack([(scores[0] + scores[2]) / 2, (scores[1] + scores[3]) / 2]))


def test_members_that_have_no_token_in_common():
    """Top-k may leave other tokens to each member: one of those is taken, and none that nobody may write."""
    orbit = Orbit.start(torch.tensor([[0, 1]]), shared=False)
    scores = laws([[0.0, 1.0, 0.0, 0.0]], [[0.6, 0.0, 0.0, 0.4]])
    combination = WholeOutputs(GROUP, orbit, Equitune(), (), 3)
    texts = torch.tensor([[1], [0]])
    out = combination.combine(combination.inside(texts), scores, 1, None)
    torch.testing.assert_close(out[0, 0].exp(), torch.tensor([0.3, 0.5, 0.0, 0.2]))


def test_texts_are_cut_at_their_first_end():
    combination = WholeOutputs(GROUP, PAIR, Equitune(), (END,), 3)
    tokens = torch.tensor([[0, END, 1, 1], [END, 0, 0, 0]])
    scores = torch.nn.functional.one_hot(tokens, 4).float()
    live = torch.ones(2, 4, dtype=torch.bool)
    assert combination.write(scores, live, prompts(2)).tolist() == [[0, END], [END, 3]]


def test_texts_end_where_all_members_have_ended():
    combination = WholeOutputs(GROUP, PAIR, Equitune(), (END,), 3)
    texts = torch.tensor([[0, END, 3], [END, 3, 3], [1, 1, END]])
    live = combination.live(combination.inside(texts), 1)
    assert live.tolist() == [[True, True, False], [True, True, True]]
    scores = torch.nn.functional.one_hot(torch.tensor([[0, 0, 0], [1, 1, 0]]), 4).float()
    assert combination.write(scores, live, prompts(2)).tolist() == [[0, 0, 3], [1, 1, 0]]


def test_ties_are_broken_alike_for_all_members():
    """Of two best words that g exchanges, x and gx get words that g exchanges."""
    combination, written = WholeOutputs(GROUP, PAIR, Equitune(), (END,), 3), []
    action = TokenAction(GROUP, TokenMap(vocab_size=4, sets=(((0, 1),),)))
    for ids in (torch.tensor([[0]]), torch.tensor([[1]])):
        known = Prompts(action, ids, None, 0)
        written.append(
            combination.write(
                torch.zeros(1, 6, 4).index_fill(2, torch.tensor([2, 3]), -1.0),
                torch.ones(1, 6, dtype=torch.bool),
                known,
            )
        )
    assert action.apply(1, written[0]).tolist() == written[1].tolist()
    assert set(written[0].flatten().tolist()) == {0, 1}


@pytest.mark.parametrize(("ends", "pad", "expected"), [((END,), 3, 3), ((END,), None, END), ((), None, 0)])
def test_padding_of_texts(ends, pad, expected):
    assert WholeOutputs(GROUP, PAIR, Equitune(), ends, pad).pad == expected


def test_as_greedy_leaves_the_config_alone():
    config = GenerationConfig(do_sample=True, temperature=0.5, num_beams=4, max_new_tokens=9)
    greedy, rest = as_greedy(
        config, {"top_k": 3, "num_return_sequences": 2, "attention_mask": "mask", "min_length": 2}
    )
    assert config.do_sample
    assert config.num_beams == 4
    assert (greedy.do_sample, greedy.num_beams, greedy.num_return_sequences, greedy.top_k) == (False, 1, 1, None)
    assert (greedy.temperature, greedy.max_new_tokens, greedy.min_length) == (None, 9, 2)
    assert rest == {"attention_mask": "mask"}


def test_take_rows():
    ids = torch.arange(12).view(3, 4)
    rows = torch.tensor([2, 0])
    assert take_rows(ids, rows, 3).tolist() == [[8, 9, 10], [0, 1, 2]]
    scores = tuple(torch.full((3, 2), float(step)) + torch.arange(3)[:, None] for step in range(3))
    out = take_rows(GenerateEncoderDecoderOutput(sequences=ids, scores=scores), rows, 3)
    assert out.sequences.tolist() == [[8, 9, 10], [0, 1, 2]]
    assert [step[:, 0].tolist() for step in out.scores] == [[2.0, 0.0], [3.0, 1.0]]
    assert isinstance(out, GenerateEncoderDecoderOutput)


def test_streamers_hear_a_finished_text():
    heard = []

    class Notes:
        def put(self, value):
            heard.append(value.tolist())

        def end(self):
            heard.append("end")

    write_to(Notes(), torch.tensor([[1, 5, 6]]), 1)
    assert heard == [[[1]], [5], [6], "end"]
