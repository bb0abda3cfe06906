"""The tokens of words, by one call of a tokenizer."""

from __future__ import annotations

from small_models import tokenizer
from token_writers import words_tokenizer
from transformers import ByT5Tokenizer

from hf_equi.actions.spellings import AFTER_BRACKET, AFTER_SPACE, START, Spellings, token_text


class Counting:
    """A tokenizer that counts its calls."""

    def __init__(self, inner) -> None:
        self.inner, self.calls, self.unk_token_id = inner, 0, inner.unk_token_id

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.inner(*args, **kwargs)


def test_all_words_are_written_by_one_call() -> None:
    words = [f"word{number}" for number in range(500)]
    counting = Counting(tokenizer())
    spellings = Spellings([*words, *words], counting)
    assert counting.calls == 1
    for context in (START, AFTER_SPACE, AFTER_BRACKET):
        for word in words[::50]:
            assert spellings.whole(context, word) == tuple(tokenizer()(context + word)["input_ids"])
    assert Spellings([], counting).width(AFTER_SPACE) == 1


def test_tokens_after_a_context() -> None:
    spellings = Spellings(["man", "WOMAN"], tokenizer())
    assert tokenizer().convert_ids_to_tokens(spellings.tokens(AFTER_SPACE, "man")) == ["Ġman"]
    assert spellings.token(AFTER_SPACE, "man") == tokenizer().convert_tokens_to_ids("Ġman")
    assert spellings.token(START, "WOMAN") is None
    assert len(spellings.tokens(START, "WOMAN")) > 1
    assert (spellings.width(START), spellings.width(AFTER_SPACE)) == (0, 1)


def test_a_tokenizer_written_in_python_will_do() -> None:
    tokens = Spellings(["he"], ByT5Tokenizer()).tokens(AFTER_SPACE, "he")
    assert ByT5Tokenizer().decode(tokens) == " he"


def test_words_that_share_a_token_with_their_context_or_are_unknown_have_none() -> None:
    class Merging(Counting):
        def __call__(self, texts, **kwargs):
            return {"input_ids": [[7] if text == "(he" else [len(text)] * len(text) for text in texts]}

    merging = Merging(tokenizer())
    assert Spellings(["he"], merging).tokens(AFTER_BRACKET, "he") is None
    merging.unk_token_id = 4
    assert Spellings(["he", "she"], merging).tokens(AFTER_SPACE, "he") is None  # all of "x he" is token 4


def test_the_pieces_of_a_word_have_its_leading_space() -> None:
    spellings = Spellings(["man", "WOMAN"], tokenizer())
    assert spellings.pieces(AFTER_SPACE, "man") == (" man",)
    assert "".join(spellings.pieces(START, "WOMAN")) == "WOMAN"
    assert len(spellings.pieces(START, "WOMAN")) > 1
    assert token_text(tokenizer(), tokenizer()(" man")["input_ids"][0]) == " man"
    known = Spellings(["man", "boy"], words_tokenizer("man"))
    assert [known.is_unknown(AFTER_SPACE, word) for word in ("man", "boy")] == [False, True]
