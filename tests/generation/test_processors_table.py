"""The table of processors knows all that the installed release has, and what it says of them is so."""

from __future__ import annotations

import inspect

import pytest
import torch
from transformers import LogitsProcessor, TemperatureLogitsWarper
from transformers.generation import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    InfNanRemoveLogitsProcessor,
    LogitNormalization,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
    logits_process,
)

from hf_equi.generation.processors_table import BY_REPEATS, BY_TOKENS, BY_VALUES, kind_of
from hf_equi.generation.rank_cuts import RankCut

VALUES = [
    EpsilonLogitsWarper(0.1), EtaLogitsWarper(0.1), InfNanRemoveLogitsProcessor(), LogitNormalization(),
    MinPLogitsWarper(0.3), TemperatureLogitsWarper(0.5), TopHLogitsWarper(0.5), TopKLogitsWarper(3),
    TopPLogitsWarper(0.7), TypicalLogitsWarper(0.6),
]  # fmt: skip
REPEATS = [NoRepeatNGramLogitsProcessor(2), RepetitionPenaltyLogitsProcessor(1.5)]


def test_the_table_knows_all_processors_of_the_release():
    own = {
        name
        for name, each in inspect.getmembers(logits_process, inspect.isclass)
        if issubclass(each, LogitsProcessor)
        and each is not LogitsProcessor
        and each.__module__ == logits_process.__name__
    }
    assert own <= BY_VALUES | BY_REPEATS | BY_TOKENS
    assert not BY_VALUES & BY_TOKENS
    assert not BY_REPEATS & (BY_VALUES | BY_TOKENS)
    assert {type(each).__name__ for each in VALUES} == BY_VALUES
    assert {type(each).__name__ for each in REPEATS} == BY_REPEATS


@pytest.mark.parametrize("processor", [*VALUES, *REPEATS], ids=lambda each: type(each).__name__)
def test_such_processors_do_not_see_the_order_of_columns(processor):
    ids, scores = torch.randint(0, 9, (4, 7)), torch.randn(4, 9).log_softmax(-1)
    order = torch.randperm(9)
    moved = processor(order.argsort()[ids], scores[:, order])
    torch.testing.assert_close(moved, processor(ids, scores)[:, order])
    assert kind_of(processor) in {"values", "repeats"}


def test_a_subclass_may_look_at_tokens():
    class Own(TemperatureLogitsWarper):
        pass

    assert kind_of(Own(0.5)) == "tokens"
    assert kind_of(RankCut(TopPLogitsWarper(0.5), lambda ids: None)) == "values"
