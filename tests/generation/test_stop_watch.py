from __future__ import annotations

import torch
from small_networks import network, pad, sentences
from transformers import StoppingCriteria, StoppingCriteriaList

from hf_equi.generation.stop_watch import StopWatch, watch_criteria

IDS, SCORES = torch.zeros(3, 1, dtype=torch.long), torch.zeros(3, 2)


class Third(StoppingCriteria):
    """Ends the third text."""

    def __call__(self, input_ids, scores, **kwargs):
        return torch.arange(len(input_ids)) == 2


def test_it_ends_nothing():
    assert not StopWatch()(IDS, SCORES).any()


def test_what_has_ended_stays_so():
    watch = StopWatch()
    watch.note(torch.tensor([True, False]))
    watch.note(torch.tensor([False, False]))
    watch.note(torch.tensor([False, True]))
    assert watch.inside().tolist() == [[True, False, False], [True, True, True]]


def test_criteria_tell_those_that_watch_what_all_decide():
    watch = StopWatch()
    criteria = watch_criteria(StoppingCriteriaList([watch, Third()]))
    assert criteria(IDS, SCORES).tolist() == [False, False, True]
    assert watch.ended[-1].tolist() == [False, False, True]


def test_criteria_that_nobody_watches_stay_as_they_are():
    criteria = StoppingCriteriaList([Third()])
    assert watch_criteria(criteria) is criteria


def test_steps_of_a_call_are_those_up_to_the_end():
    base, watch = network(), StopWatch()
    ids, mask = pad(sentences())
    base._get_stopping_criteria = lambda **settings: watch_criteria(
        type(base)._get_stopping_criteria(base, **settings)
    )
    out = base.generate(ids, attention_mask=mask, max_new_tokens=6, stopping_criteria=StoppingCriteriaList([watch]))
    for written, inside in zip(out[:, 1:].tolist(), watch.inside().sum(1).tolist(), strict=True):
        assert inside == (written.index(2) + 1 if 2 in written else len(written))
