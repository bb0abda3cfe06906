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
from hf_equi.cli.coverage import measure_coverage
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


def test_a_set_moves_or_each_of_its_words_has_a_reason() -> None:
    group = DemographicGroup([["man", "woman"], ["stepfather", "stepmother"], ["driver", "stepmom"]])
    coverage = measured(group, tokenizer())
    assert coverage.missing == (("stepfather", "stepmother"), ("driver", "stepmom"))
    kinds = [[reason.kind for reason in one.reasons] for one in coverage.sets]
    assert kinds == [[], ["several", "several"], ["counterpart", "several"]]
    assert ["".join(pieces) for pieces in coverage.sets[1].pieces] == [" stepfather", " stepmother"]
    assert coverage.sets[0].others == ("Man/Woman at the start of a text",)  # where it stays
    assert coverage.advice == ""


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
