"""What moves in a vocabulary and what does not."""

from __future__ import annotations

import warnings

from small_models import GENDER, RACE, tokenizer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from hf_equi import DemographicGroup, TokenAction
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.cli.coverage import measure_coverage, token_text
from hf_equi.errors import HfEquiWarning


def measured(group, tokenizer):
    with warnings.catch_warnings(action="ignore", category=HfEquiWarning):
        token_map = resolve_tokens(group, tokenizer, multi_token="skip")
    return measure_coverage(TokenAction(group, token_map), tokenizer)


def test_every_form_moves_or_stays() -> None:
    coverage = measured(GENDER, tokenizer())
    man, he = coverage.sets
    assert (" man", " woman") in man.moves
    assert (" he", " she") in he.moves
    assert all(any(len(pieces) > 1 for pieces in form) for form in man.stays)
    assert len(man.moves) + len(man.stays) == 6
    assert coverage.moved == len({token for one in coverage.sets for row in one.moves for token in row})
    assert (coverage.missing, coverage.neutral, coverage.general) == ((), None, None)


def test_pieces_make_up_their_word() -> None:
    for one in measured(RACE, tokenizer()).sets:
        for form in one.stays:
            words = ["".join(pieces).strip().lower() for pieces in form]
            assert tuple(words) == one.words


def test_sets_without_a_form_are_listed() -> None:
    coverage = measured(DemographicGroup([["man", "woman"], ["stepfather", "stepmother"]]), tokenizer())
    assert coverage.missing == (("stepfather", "stepmother"),)


def test_a_relaxed_group_counts_its_tokens() -> None:
    group = DemographicGroup([["man", "woman"]], neutral=["nurse", "stepfather"])
    coverage = measured(group, tokenizer())
    assert coverage.unknown == ("stepfather",)
    assert coverage.neutral >= 1
    assert coverage.moved + coverage.neutral + coverage.general == coverage.vocab_size == len(tokenizer())


def test_a_tokenizer_without_leading_spaces() -> None:
    words = Tokenizer(WordLevel({"<unk>": 0, "man": 1, "woman": 2, "x": 3, "(": 4}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    coverage = measured(
        DemographicGroup([["man", "woman"]]), PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    )
    assert coverage.sets[0].moves == (("man", "woman"),)
    assert coverage.sets[0].stays == ((("<unk>",), ("<unk>",)),)


def test_the_text_of_a_token_has_its_leading_space() -> None:
    assert token_text(tokenizer(), tokenizer()(" man")["input_ids"][0]) == " man"
