"""The names of methods on the command line."""

from __future__ import annotations

import hf_equi.models.causal_lm.methods as causal
from hf_equi.cli.methods import DEFAULT_METHODS, METHODS
from hf_equi.registration import method_names


def test_each_name_stands_for_a_method_of_its_own():
    assert len(set(METHODS.values())) == len(METHODS)
    methods = {audited.method for audited in METHODS.values()} - {None}
    assert methods == set(method_names(causal.TASK)) - {"identity"}  # which is the base, to compare with


def test_groups_are_relaxed_and_searches_made_where_the_method_can():
    for name, audited in METHODS.items():
        assert audited.relaxed == name.startswith("R-")
        assert audited.searches == (audited.method == "equizero")
        if audited.relaxed:
            assert METHODS[name.removeprefix("R-")].method == audited.method
            assert audited.searches or causal.create(audited.method, "logits").relaxable


def test_the_methods_of_the_papers_are_audited_by_default():
    assert DEFAULT_METHODS == ("base", "EquiLM", "R-EquiLM", "EquizeroLM", "R-EquizeroLM")
