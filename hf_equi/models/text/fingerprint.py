"""Hashes that tell whether a tokenizer is the one that something was made with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from transformers import PreTrainedTokenizerBase

from hf_equi.errors import ConfigurationError

__all__ = ["check_tokenizer", "cut_fingerprint", "fingerprint", "fingerprints", "require_tokenizer"]

# What the normalisers and pre-tokenizers that there are treat in different ways: cases, accents composed and not,
# compatibility forms, digits, punctuation, white space, scripts. Never to be changed: it is hashed in checkpoints.
_SAMPLE = (
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
_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)  # unlike str.upper the same in every release of Python
_OWN = 128
"""So many words of its own vocabulary does a tokenizer cut, too: of the sample one of whole words may know none."""


def fingerprint(tokenizer: Any, vocabulary: Mapping[str, int] | None = None) -> str:
    """A hash of the vocabulary: tokens with their ids.

    Args:
        tokenizer: A tokenizer of `transformers`.
        vocabulary: Its `get_vocab()`, where the caller has it: a tokenizer makes it anew each time.

    Returns:
        32 hexadecimal digits.
    """
    written = _written(tokenizer.get_vocab() if vocabulary is None else vocabulary)
    return hashlib.blake2b(written.encode(), digest_size=16).hexdigest()


def fingerprints(tokenizer: Any, vocabulary: Mapping[str, int] | None = None) -> tuple[str, str]:
    """Both hashes, of the vocabulary and of how texts are cut, from one reading of the vocabulary.

    Args:
        tokenizer: A tokenizer of `transformers`.
        vocabulary: As for `fingerprint`.
    """
    vocabulary = tokenizer.get_vocab() if vocabulary is None else vocabulary
    return fingerprint(tokenizer, vocabulary), cut_fingerprint(tokenizer, vocabulary)


def _written(vocabulary: Mapping[str, int]) -> str:
    """The pairs of token and id in the order of ids, as JSON."""
    places, count = vocabulary.values(), len(vocabulary)
    if count and min(places) == 0 and max(places) == count - 1:
        # What the last line gives, in a fifth of the time: nothing is sorted, and each token is looked at once.
        pairs = [""] * count
        for token, place in vocabulary.items():
            pairs[place] = f"[{encode_basestring_ascii(token)}, {place}]"
        if all(pairs):  # else two tokens have one id
            return f"[{', '.join(pairs)}]"
    return json.dumps(sorted(vocabulary.items(), key=lambda item: (item[1], item[0])))


def cut_fingerprint(tokenizer: Any, vocabulary: Mapping[str, int] | None = None) -> str:
    """A hash of how texts are cut into tokens: by the normaliser, the pre-tokenizer and the model of a tokenizer.

    It is read off the tokens of a sample of texts, and of words of the vocabulary, so it does not depend on how a
    release writes these parts down. Padding, truncation and what is put around a text do not count.

    Args:
        tokenizer: A tokenizer of `transformers`.
        vocabulary: As for `fingerprint`.

    Returns:
        32 hexadecimal digits.
    """
    vocabulary = tokenizer.get_vocab() if vocabulary is None else vocabulary
    step = max(1, len(vocabulary) // _OWN)
    own = sorted([token for token, place in vocabulary.items() if not place % step])
    texts = [*_SAMPLE, *(f"{token} {token.translate(_UPPER)} ({token})" for token in own)]
    return hashlib.blake2b(json.dumps(_cut(tokenizer, texts)).encode(), digest_size=16).hexdigest()


def _cut(tokenizer: Any, texts: list[str]) -> list[list[int] | None]:
    """The tokens of texts; `None` for one that the tokenizer refuses, as those without an unknown token do."""
    try:
        ids: list[list[int] | None] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    except Exception:  # of whatever kind: those of tokenizers are bare
        return [None] if len(texts) == 1 else [each for text in texts for each in _cut(tokenizer, [text])]
    return ids


def require_tokenizer(tokenizer: Any) -> None:
    """Refuse what is not a tokenizer, such as the name of one.

    Raises:
        ConfigurationError: For such a thing.
    """
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise ConfigurationError(
            f"tokenizer={tokenizer!r} is not a tokenizer of transformers: pass AutoTokenizer.from_pretrained(...)"
        )


def check_tokenizer(
    tokenizer: Any,
    expected: str | None,
    source: str,
    cut: str | None = None,
    vocabulary: Mapping[str, int] | None = None,
) -> None:
    """Refuse another tokenizer than the map was made with.

    Args:
        tokenizer: The tokenizer.
        expected: Its `fingerprint`; `None` where nobody knows it.
        source: Where it is from, for the message.
        cut: Its `cut_fingerprint`; `None` where nobody knows it, as in checkpoints of hf_equi 0.1.
        vocabulary: As for `fingerprint`.

    Raises:
        ConfigurationError: If the fingerprints differ, and for what is not a tokenizer.
    """
    require_tokenizer(tokenizer)
    if expected is not None and fingerprint(tokenizer, vocabulary) != expected:
        raise ConfigurationError(
            f"The tokenizer of {source} is not the one that the stored token permutation was made with, so it would "
            "move the wrong words. Use the tokenizer that was saved with the model, or symmetrize the base again."
        )
    if cut is not None and cut_fingerprint(tokenizer, vocabulary) != cut:
        raise ConfigurationError(
            f"The tokenizer of {source} has the vocabulary that the stored token permutation was made with, and cuts "
            "texts in another way: its normaliser, pre-tokenizer or merges differ. Use the tokenizer that was saved "
            "with the model, or symmetrize the base again."
        )
