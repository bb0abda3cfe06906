"""Configurations of models of text over tiny bases, with made-up token maps."""

from __future__ import annotations

from small_models import configs
from small_seq2seq import base

from hf_equi import DemographicGroup, EquiLMConfig
from hf_equi.actions.token_maps import TokenMap

GROUP = DemographicGroup([["a", "b"]])
RELAXED = DemographicGroup([["a", "b"]], neutral=["c"])


def base_config(kind):
    return configs()["llama"] if kind is EquiLMConfig else base("marian-pair").config


def sizes(kind):
    """The vocabulary of each map."""
    config = base_config(kind)
    return dict(zip(kind.map_names, (config.vocab_size, getattr(config, "decoder_vocab_size", None)), strict=False))


def maps(kind, *sets, **changes):
    return {
        name: {**TokenMap(size, (sets or ((1, 2),),), (None,), (None,)).to_dict(), **changes}
        for name, size in sizes(kind).items()
    }


def make(kind, **settings):
    return kind(**{"base_config": base_config(kind), "group": GROUP.to_dict(), **maps(kind), **settings})
