"""Hashes that tell whether a tokenizer is the same as one used earlier."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from transformers import PreTrainedTokenizerBase

from hf_equi.errors import ConfigurationError

__all__ = [
    "SAMPLE",
    "check_tokenizer",
    "cut_fingerprint",
    "cut_texts",
    "fingerprint",
    "fingerprints",
    "require_tokenizer",
]

# What existing normalisers and pre-tokenizers treat in different ways: case, composed and decomposed accents,
# compatibility forms, digits, punctuation, white space, scripts. Never change it: checkpoints store its hash.
SAMPLE = (
    "The woman said he wouldn't go; HE'LL stay, They're McDonald's STATE-OF-THE-ART iPhones.",
    "  two  spaces\tand a tab\n\nand lines\r\n   indented ",
    "1234567890 3.14 1,000,000 50% $5 x2 v1.2.3 2nd",
    "caf\u00e9 cafe\u0301 na\u00efve \u00c5ngstr\u00f6m stra\u00dfe STRASSE \u0130stanbul",
    "\uff37\uff4f\uff4d\uff41\uff4e \ufb01ne \u00bd \u2460 \u2122 \u00b2",
    "\u4f60\u597d\u4e16\u754c \u3053\u3093\u306b\u3061\u306f \uc548\ub155 \u0645\u0631\u062d\u0628\u0627 "
    "\u041f\u0440\u0438\u0432\u0435\u0442 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0928\u092e\u0938\u094d\u0924\u0947",
    "\U0001f469\u200d\U0001f52c\U0001f3fd a\u00a0b c\u200bd e\u00adf \u201cquoted\u201d \u2018so\u2019 \u2014 \u2013",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ a!b#c$d%e&f*g+h-i.j/k:l;m=n?o@p_q|r~s (t) [u] {v} <w> snake_case camelCase",
)
_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)  # unlike str.upper, the same in every Python release
_OWN = 128
"""The number of its own words that a tokenizer also cuts. A whole-word tokenizer may know no word of the sample."""


def fingerprint(tokenizer: Any, vocabulary: Mapping[str, int] | None = None) -> str:
    """Return a hash of the vocabulary: the tokens with their ids.

    Args:
        tokenizer: A tokenizer of `transformers`.
        vocabulary: Its `get_vocab()`, if the caller has it, because a tokenizer builds it anew each time.

    Returns:
        32 hexadecimal digits.
    """
    written = _written(tokenizer.get_vocab() if vocabulary is None else vocabulary)
    return hashlib.blake2b(written.encode(), digest_size=16).hexdigest()


def fingerprints(tokenizer: Any, vocabulary: Mapping[str, int] | None = None) -> tuple[str, str]:
    """Return both hashes, of the vocabulary and of how texts are cut, from one reading of the vocabulary.

    Args:
        tokenizer: A tokenizer of `transformers`.
        vocabulary: As in `fingerprint`.
    """
    vocabulary = tokenizer.get_vocab() if vocabulary is None else vocabulary
    return fingerprint(tokenizer, vocabulary), cut_fingerprint(tokenizer, vocabulary)


def _written(vocabulary: Mapping[str, int]) -> str:
    """Return the pairs of token and id in the order of ids, as JSON."""
    places, count = vocabulary.values(), len(vocabulary)
    if count and min(places) == 0 and max(places) == count - 1:
        # This gives the same as the last line in a fifth of the time: it sorts nothing and looks at each token once.
        pairs = [""] * count
        for token, place in vocabulary.items():
            pairs[place] = f"[{encode_basestring_ascii(token)}, {place}]"
        if all(pairs):  # otherwise two tokens share an id
            return f"[{', '.join(pairs)}]"
    return json.dumps(sorted(vocabulary.items(), key=lambda item: (item[1], item[0])))


def cut_fingerprint(tokenizer: Any, vocabulary: Mapping[str, int] | None = None) -> str:
    """Return a hash of how the tokenizer's normaliser, pre-tokenizer and model cut texts into tokens.

    It is computed from the tokens of sample texts and of words of the vocabulary, so it does not depend on how a
    release writes these parts down. Padding, truncation and the tokens added around a text do not count.

    Args:
        tokenizer: A tokenizer of `transformers`.
        vocabulary: As in `fingerprint`.

    Returns:
        32 hexadecimal digits.
    """
    vocabulary = tokenizer.get_vocab() if vocabulary is None else vocabulary
    step = max(1, len(vocabulary) // _OWN)
    own = sorted([token for token, place in vocabulary.items() if not place % step])
    texts = [*SAMPLE, *(f"{token} {token.translate(_UPPER)} ({token})" for token in own)]
    return hashlib.blake2b(json.dumps(cut_texts(tokenizer, texts)).encode(), digest_size=16).hexdigest()


def cut_texts(tokenizer: Any, texts: list[str]) -> list[list[int] | None]:
    """Return the tokens of texts; `None` for a text that the tokenizer refuses, if it has no unknown token.

    Args:
        tokenizer: A tokenizer of `transformers`.
        texts: The texts.
    """
    try:
        ids: list[list[int] | None] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    except Exception:  # any kind: tokenizers raises bare exceptions
        return [None] if len(texts) == 1 else [each for text in texts for each in cut_texts(tokenizer, [text])]
    return ids


def require_tokenizer(tokenizer: Any) -> None:
    """Refuse anything but a tokenizer, such as the name of one.

    Raises:
        ConfigurationError: If it is not a tokenizer.
    """
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise ConfigurationError(
            f"tokenizer={tokenizer!r} is not a tokenizer of transformers: pass AutoTokenizer.from_pretrained(...)"
        )


def check_tokenizer(tokenizer: Any, expected: str | None, source: str, cut: str | None = None) -> None:
    """Refuse a tokenizer other than the one that the map was made with.

    Args:
        tokenizer: The tokenizer.
        expected: The `fingerprint` it should have; `None` if unknown.
        source: Where the tokenizer comes from, for the message.
        cut: The `cut_fingerprint` it should have; `None` if unknown, as in checkpoints of hf_equi 0.1.

    Raises:
        ConfigurationError: If the fingerprints differ, or if it is not a tokenizer.
    """
    require_tokenizer(tokenizer)
    if expected is None and cut is None:
        return
    vocabulary = tokenizer.get_vocab()
    if expected is not None and fingerprint(tokenizer, vocabulary) != expected:
        raise ConfigurationError(
            f"The tokenizer of {source} is not the one that the stored token permutation was made with, so it would "
            "move the wrong words. Use the tokenizer that was saved with the model, or symmetrize the base again."
        )
    if cut is not None and cut_fingerprint(tokenizer, vocabulary) != cut:
        raise ConfigurationError(
            f"The tokenizer of {source} has the right vocabulary for the stored token permutation, but it cuts texts "
            "in another way: its normaliser, pre-tokenizer or merges differ. Use the tokenizer that was saved with "
            "the model, or symmetrize the base again."
        )
