"""Canonicalizers of one's own, and how configs store them."""

from __future__ import annotations

import pytest
import torch

from hf_equi import ImageGroup
from hf_equi.canonicalization import (
    Canonicalizer,
    FiniteCanonicalizer,
    GroupConvolution,
    base,
    canonicalizer_kinds,
    read_canonicalizer,
    register_canonicalizer,
)
from hf_equi.errors import ConfigurationError

TURNS = ImageGroup.rotations(4)


class Loudest(FiniteCanonicalizer):
    """Scores that are the sums of the four edges."""

    kind = "loudest"
    group = TURNS

    def scores(self, x):
        edges = (x[..., 0, :], x[..., 0], x[..., -1, :], x[..., -1])
        return torch.stack([edge.sum((1, 2)) for edge in edges], 1)

    @classmethod
    def from_dict(cls, content, group, shape=None):
        return cls()


def test_a_kind_is_registered_once_and_read_back(monkeypatch):
    monkeypatch.setattr(base, "_KINDS", dict(base._KINDS))
    register_canonicalizer("loudest", Loudest)
    register_canonicalizer("loudest", Loudest)
    assert {"group_convolution", "loudest", "vector_neurons"} <= set(canonicalizer_kinds())
    assert type(read_canonicalizer(Loudest().to_dict(), TURNS)) is Loudest
    with pytest.raises(ConfigurationError, match="'loudest' of canonicalizers is already Loudest"):
        register_canonicalizer("loudest", GroupConvolution)
    with pytest.raises(ConfigurationError, match="'Loud est' cannot name a kind"):
        register_canonicalizer("Loud est", Loudest)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"type": None}, "of a class of its own. A checkpoint stores its weights but not its code: pass the same"),
        ({"type": "group_convolutions"}, "did you mean 'group_convolution'"),
        ({"type": "group_convolution", "sizes": 3}, "cannot be made of .*'sizes'"),
        ({"kind": "group_convolution"}, r"described by \{\"type\": ...\}"),
        ("group_convolution", "described by"),
        ({"type": "orbit_scorer", "network": None}, "not a model of transformers. A checkpoint stores"),
        ({"type": "model_energy", "model": None}, "not in transformers"),
    ],
)
def test_a_description_that_makes_none_is_refused(content, message):
    with pytest.raises(ConfigurationError, match=message):
        read_canonicalizer(content, TURNS, (3, 8, 8))


def test_a_class_without_a_reader_says_so():
    class Silent(Loudest):
        from_dict = classmethod(Canonicalizer.from_dict.__func__)

    with pytest.raises(ConfigurationError, match="A Silent cannot be made from its description"):
        Silent.from_dict({}, TURNS, None)
