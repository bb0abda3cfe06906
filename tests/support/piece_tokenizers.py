"""Tokenizers that cut words into pieces."""

from __future__ import annotations

from functools import cache

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = (
    "The nephew met his niece's grandson, and the salesman and the saleswoman met a nephew. It's the man's, the "
    "woman's and the African American men's. The elderly and the young met Jamal, Emily and a European American.",
    "the grandson the granddaughter the man the woman he she his her the men the women salesman saleswoman",
)


def _wrapped(model: Tokenizer, unknown: str | None = None) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=model, unk_token=unknown, eos_token="<end>")


@cache
def byte_pairs(digits: bool = False, lower: bool = False) -> PreTrainedTokenizerFast:
    """Byte-level pairs as GPT-2 has them; with `digits` apart, as SmolLM2 has them. Any text can be written."""
    model = Tokenizer(models.BPE())
    if lower:
        model.normalizer = normalizers.Lowercase()
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.pre_tokenizer = (
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), cut]) if digits else cut
    )
    model.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    model.train_from_iterator(TEXTS, trainer)
    return _wrapped(model)


def marked_pieces(pieces: str) -> PreTrainedTokenizerFast:
    """Pieces as SentencePiece writes them, not cut before punctuation: `▁` for a space. Other letters are unknown."""
    known = ["▁", "(", "x", *pieces.split()]
    model = Tokenizer(models.Unigram([("<unk>", -20.0), ("<end>", -20.0), *((p, -1.0) for p in known)], unk_id=0))
    model.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    model.decoder = decoders.Metaspace(prepend_scheme="never", split=False)
    return _wrapped(model, "<unk>")
