from __future__ import annotations

import pytest
import torch
from small_networks import network, pad, sentences
from transformers import LogitNormalization, LogitsProcessorList, StoppingCriteriaList

from hf_equi.generation.step_losses import StepLosses
from hf_equi.generation.stop_watch import StopWatch, watch_criteria
from hf_equi.symmetrizers import Entropy, MaxProbability, PublishedEntropy, create_loss
from hf_equi.symmetrizers.losses import LOSSES

SCORES = torch.tensor(
    [
        [[0.5, 0.25, 0.25], [0.2, 0.2, 0.6], [0.8, 0.1, 0.1]],
        [[0.4, 0.3, 0.3], [0.1, 0.9, 0.0], [0.2, 0.3, 0.5]],
    ]
).log()


def fed(loss, written, ends):
    """Feed `SCORES` to texts that start with token 9: `written` is the whole of what they write."""
    watch = StopWatch()
    steps = StepLosses(loss, watch)
    ids = torch.cat([torch.full((2, 1), 9), torch.tensor(written)], 1)
    for place in range(SCORES.shape[1]):
        scores = SCORES[:, place]
        assert steps(ids[:, : place + 1], scores) is scores
        watch.note(torch.isin(ids[:, place + 1], torch.tensor(ends)))
    return steps


@pytest.mark.parametrize("loss", [MaxProbability(), Entropy(), PublishedEntropy()])
def test_steps_up_to_the_end_count(loss):
    steps = fed(loss, [[1, 2, 0], [1, 1, 1]], [2, 7])
    required = torch.stack([loss(SCORES[0, :2]), loss(SCORES[1])])
    torch.testing.assert_close(steps.losses(), required)
    assert steps.lengths().tolist() == [2, 3]


def test_any_end_ends():
    steps = fed(MaxProbability(), [[7, 1, 1], [1, 2, 1]], [2, 7])
    assert steps.losses().tolist() == pytest.approx([-0.5, (-0.4 - 0.9) / 2])
    assert steps.lengths().tolist() == [1, 2]


def test_without_an_end_all_steps_count():
    assert fed(MaxProbability(), [[2, 0, 0], [1, 1, 1]], []).lengths().tolist() == [3, 3]


def test_an_end_among_the_first_tokens_is_none():
    """BART starts with its end token."""
    assert fed(MaxProbability(), [[1, 1, 1], [1, 9, 1]], [9]).lengths().tolist() == [3, 2]


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_a_call_are_those_of_its_scores(name):
    base, loss = network(), create_loss(name)
    ids, mask = pad(sentences())
    watch = StopWatch()
    steps = StepLosses(loss, watch)
    base._get_stopping_criteria = lambda **settings: watch_criteria(
        type(base)._get_stopping_criteria(base, **settings)
    )
    out = base.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=6,
        logits_processor=LogitsProcessorList([LogitNormalization(), steps]),
        stopping_criteria=StoppingCriteriaList([watch]),
        return_dict_in_generate=True,
        output_logits=True,
    )
    scores = torch.stack(out.logits, 1).log_softmax(-1)
    for text, (loss_of_text, length) in enumerate(zip(steps.losses(), steps.lengths().tolist(), strict=True)):
        written = out.sequences[text, 1:].tolist()
        assert length == (written.index(2) + 1 if 2 in written else len(written))
        torch.testing.assert_close(loss_of_text, loss(scores[text, :length]))
