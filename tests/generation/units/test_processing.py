"""Processors on units beside tokens."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper
from transformers.generation import RepetitionPenaltyLogitsProcessor
from unit_models import PAIRS, VOCAB

from hf_equi.generation.units.processing import StepScores, UnitProcessors

HEADS = torch.tensor([*range(VOCAB), *(form[0] for form in PAIRS.forms)])[None]
IDS = torch.tensor([[2, 3, 9]])


def step(going=-1):
    return StepScores(
        torch.randn(1, VOCAB).log_softmax(-1),
        torch.randn(1, PAIRS.units).log_softmax(-1),
        HEADS,
        torch.tensor([going]),
    )


class Add(LogitsProcessor):
    def __init__(self, added):
        self.added = torch.tensor(added)

    def __call__(self, input_ids, scores):
        scores += self.added
        return scores


def run(found, *processors, keeps_tokens=False):
    UnitProcessors(PAIRS, processors).run(IDS, found, [None], [*IDS], keeps_tokens)
    return found


def test_what_is_added_to_a_token_is_added_to_all_units_that_begin_with_it():
    added, found = torch.randn(VOCAB).tolist(), step()
    tokens, units = found.tokens.clone(), found.units.clone()
    run(found, Add(added))
    torch.testing.assert_close(found.tokens, tokens + torch.tensor(added))
    torch.testing.assert_close(found.units, units + torch.tensor(added)[HEADS])


def test_values_and_repeats_are_those_of_units():
    found = step()
    units = found.units.clone()
    run(found, TemperatureLogitsWarper(0.5), RepetitionPenaltyLogitsProcessor(1.5), TopKLogitsWarper(3))
    expected = TopKLogitsWarper(3)(
        IDS, RepetitionPenaltyLogitsProcessor(1.5)(torch.tensor([PAIRS.read([2, 3, 9])]), units / 0.5)
    )
    torch.testing.assert_close(found.units, expected)


def test_padding_before_a_text_is_not_repeated():
    found, penalty = step(), RepetitionPenaltyLogitsProcessor(1.5, prompt_ignore_length=torch.tensor([2]))
    units = found.units.clone()
    run(found, penalty)
    assert (found.units != units).nonzero().tolist() == [[0, 9]]
    assert penalty.prompt_ignore_length.tolist() == [2]


def test_rows_that_go_on_end_with_a_ban_only():
    ban = [0.0] * VOCAB
    ban[5] = -torch.inf
    assert run(step(5), Add(ban)).going.tolist() == [-1]
    assert run(step(3), Add(ban)).going.tolist() == [3]
    assert run(step(5), TopKLogitsWarper(1)).going.tolist() == [5]


def test_tokens_are_kept_up_to_the_last_that_reads_them():
    found = step()
    tokens = found.tokens.clone()
    run(found, TemperatureLogitsWarper(0.5), Add([0.0] * VOCAB), TemperatureLogitsWarper(0.5))
    torch.testing.assert_close(found.tokens, tokens / 0.5)
    torch.testing.assert_close(run(step(), TemperatureLogitsWarper(0.5), keeps_tokens=True).tokens.shape, tokens.shape)


def test_a_forced_token_that_was_cut_away_comes_back():
    class Force(LogitsProcessor):
        def __call__(self, input_ids, scores):
            return torch.full_like(scores, -torch.inf).index_fill_(1, torch.tensor([7]), 0.0)

    found = step()
    found.tokens[0, 7] = found.units[0, 7] = -torch.inf
    assert run(found, Force()).units.isfinite().nonzero().tolist() == [[0, 7]]


def test_what_the_law_leaves_out_stays_out_under_guidance():
    found = step()
    found.tokens[0, 4] = found.units[0, 4] = -torch.inf
    added = [0.0] * VOCAB
    added[4] = torch.inf  # as less −∞
    assert run(found, Add(added)).units[0, 4].isneginf()
