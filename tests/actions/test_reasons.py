"""Why words stay."""

from __future__ import annotations

import pytest
from token_writers import bytes_tokenizer

from hf_equi.actions.reasons import KINDS, why_it_stays
from hf_equi.actions.spellings import AFTER_BRACKET, AFTER_SPACE, START, Spellings


class Joining:
    """A tokenizer that reads a bracket and the word after it as one token."""

    unk_token_id = None

    def __call__(self, texts, **settings):
        return {"input_ids": [[hash(text) % 10**6] for text in texts]}


@pytest.mark.parametrize(
    ("word", "context", "kind"),
    [
        ("man", AFTER_SPACE, "other"),  # one token, like its counterpart
        ("man", START, "unknown"),
        ("guy", AFTER_SPACE, "counterpart"),
    ],
)
def test_kinds(word, context, kind) -> None:
    words = ["man", "woman", "guy", "gal"]
    spellings = Spellings(words, bytes_tokenizer("Ġman Ġwoman Ġguy"))
    other = words[words.index(word) + 1]
    assert why_it_stays(word, [other], context, spellings).kind == kind
    assert kind in KINDS


def test_a_word_that_is_joined_to_the_text_before_it() -> None:
    spellings = Spellings(["man", "woman"], Joining(), [AFTER_BRACKET])
    assert why_it_stays("man", ["woman"], AFTER_BRACKET, spellings).kind == "joined"
