"""Words that an action leaves where they stand."""

from __future__ import annotations

import warnings
from functools import cache

import pytest
import torch
from small_models import BOTH
from transformers import AutoTokenizer, ByT5Tokenizer

from hf_equi import DemographicGroup, TokenAction
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.actions.staying import StayingWords
from hf_equi.bases.embedded import embedded_folder
from hf_equi.errors import GroupWarning

GROUP = DemographicGroup([["man", "woman"], ["salesman", "saleswoman"], ["José", "Maria"], ["John", "Mary"]])


@cache
def demo():
    return AutoTokenizer.from_pretrained(embedded_folder("demo_lm"))


@cache
def staying(tokenizer=None, group=GROUP):
    tokenizer = tokenizer or demo()
    with warnings.catch_warnings(action="ignore", category=GroupWarning):
        return StayingWords(TokenAction(group, resolve_tokens(group, tokenizer, multi_token="skip")), tokenizer)


def among(*texts, **settings):
    encoded = demo()(list(texts), return_tensors="pt", padding=True, **settings)
    return staying().among(encoded["input_ids"], encoded["attention_mask"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The man met the woman", ()),
        ("The salesman said", ("salesman",)),
        ('"John", said (Mary)', ("John", "Mary")),
        ("a john and a mary met John\nMary", ("John", "Mary")),  # in lower case they move
        ("WOMAN and MAN", ("MAN", "WOMAN")),
        ("Johnson's salesmanship, Johnny and a MANTLE", ()),
        ("Johnö яJohn John日 日John John\u0301", ()),  # letters of several tokens
        ("😀John", ("John",)),
        ("John😀", ("John",)),
        ("Jose\u0301 met José", ("Jose\u0301", "José")),
        ("", ()),
    ],
)
def test_words_that_stay_are_found_whole(text, words):
    assert among(f"x {text}") == words


def test_texts_of_a_batch_are_looked_through_without_their_padding():
    assert among("John said", "that", "the salesman and John", padding_side="left") == ("John", "salesman")
    ids = demo()("that John", return_tensors="pt")["input_ids"]
    assert staying().among(ids) == ("John",)
    mask = torch.tensor([[1] * (ids.shape[1] - 1) + [0]])
    assert staying().among(ids, mask) == ()
    # Of a text that was cut off, the mask covers more places than there are tokens.
    assert staying().among(ids, torch.ones(1, ids.shape[1] + 3)) == ("John",)


def test_the_tokenizer_is_not_asked_where_nothing_stays():
    class Silent:
        def __getattr__(self, name):
            raise AssertionError(name)

    words = staying.__wrapped__()
    words._tokenizer = Silent()
    ids = demo()("The man met the woman and they went on to the old house", return_tensors="pt")["input_ids"]
    assert words.among(ids) == ()


def test_a_warning_is_given_once_for_all_texts():
    ids = demo()(["John met Mary", "Mary met John"], return_tensors="pt", padding=True)["input_ids"]
    with pytest.warns(GroupWarning, match=r"words of the group that stay where they are: 'John', 'Mary'\. ") as caught:
        staying().warn(ids)
    assert len(caught) == 1
    staying().warn(demo()("the man", return_tensors="pt")["input_ids"])


def test_pieces_that_move_alike_do_not_stay():
    words = DemographicGroup([["man", "woman"], ["old man", "old woman"]])
    assert staying(group=words).among(demo()("the old man", return_tensors="pt")["input_ids"]) == ()


def test_a_tokenizer_written_in_python_will_do():
    tokenizer = ByT5Tokenizer()
    words = staying(tokenizer, DemographicGroup([["he", "she"], ["a", "b"]]))
    found = [
        words.among(tokenizer(text, return_tensors="pt")["input_ids"])
        for text in ("so she", "shed", "a b", "sheé", "éshe")
    ]
    assert found == [("she",), (), (), (), ()]


def test_it_serves_its_own_action_and_tokenizer():
    words = staying()
    assert words.serves(words.action, demo())
    assert not words.serves(words.action, ByT5Tokenizer())
    assert not words.serves(staying(group=BOTH).action, demo())
