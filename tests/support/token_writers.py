"""Tokenizers in which words are single tokens or none."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast


def words_tokenizer(words: str, normalizer: normalizers.Normalizer | None = None) -> PreTrainedTokenizerFast:
    """Each of these words is one token; any other is unknown."""
    vocabulary = {word: index for index, word in enumerate(["<unk>", "x", "(", *words.split()])}
    model = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.Whitespace()
    if normalizer is not None:
        model.normalizer = normalizer
    return PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>")


def bytes_tokenizer(tokens: str) -> PreTrainedTokenizerFast:
    """Byte-level words, as GPT-2 writes them: `Ġ` for a leading space."""
    vocabulary = {token: index for index, token in enumerate(["<unk>", "x", "(", "Ġ", *tokens.split()])}
    model = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>")
