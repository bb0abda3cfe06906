"""Biases inside words of several tokens, beside the processors of transformers run token by token."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LogitsProcessor, SequenceBiasLogitsProcessor, SuppressTokensLogitsProcessor
from transformers.generation import NoBadWordsLogitsProcessor
from unit_models import PAIRS, VOCAB

from hf_equi.generation.units.inner_biases import InnerBiases

TOKENS = st.sampled_from([1, 2, 3, 5, 6])
WORDS = st.dictionaries(
    st.lists(TOKENS, min_size=1, max_size=4).map(tuple), st.sampled_from([-1.0, 0.5, 2.0]), min_size=1
)


def by_tokens(processor, text, form):
    """What a processor adds to the tokens of a form after the first, one after the other."""
    added = 0.0
    for size in range(1, len(form)):
        scores = processor(torch.tensor([[*text, *form[:size]]]), torch.zeros(1, VOCAB))
        added += float(scores[0, form[size]])
    return added


@settings(max_examples=60, deadline=None)
@given(WORDS, st.lists(TOKENS, min_size=1, max_size=4))
def test_they_are_those_of_token_by_token(biases, text):
    for processor in (
        SequenceBiasLogitsProcessor(biases),
        NoBadWordsLogitsProcessor([list(word) for word in biases]),
        SuppressTokensLogitsProcessor([word[0] for word in biases]),
    ):
        found = InnerBiases.read(processor, PAIRS).of([text, text[:1]])
        expected = [[by_tokens(processor, each, form) for form in PAIRS.forms] for each in (text, text[:1])]
        torch.testing.assert_close(found, torch.tensor(expected))


def test_a_word_that_is_begun():
    inner = InnerBiases({(3, 5): -math.inf, (5,): 1.0}, PAIRS)
    assert inner.after([9, 2], [3, 5]) == -math.inf
    assert inner.after([9, 2, 3], [5]) == 0
    assert InnerBiases.read(LogitsProcessor(), PAIRS) is None
