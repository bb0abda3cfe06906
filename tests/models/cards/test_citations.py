from __future__ import annotations

import pytest

import hf_equi.canonicalization  # noqa: F401  whose methods are found by their classes
from hf_equi.models.cards.citations import citations
from hf_equi.registration import method_names
from hf_equi.symmetrizers import Method, MethodText


def methods() -> dict[str, type[Method]]:
    found, kinds = {}, [Method]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if kind.__module__.startswith(("hf_equi.symmetrizers", "hf_equi.canonicalization")) and kind is not Method:
            found[kind.__name__] = kind
    return found


@pytest.mark.parametrize("kind", methods().values(), ids=methods())
def test_every_method_has_what_to_cite(kind):
    entries = citations(kind.text)
    assert "arxiv.org/abs/2210.06475" in entries[0]
    assert "arxiv.org/abs/2305.09900" in entries[1]
    assert len(entries) == 2 + len(kind.text.sources)
    assert all(entry.startswith("@") and entry.count("{") == entry.count("}") for entry in entries)


def test_the_methods_are_those_that_tasks_have():
    names = {name for task in ("causal_lm", "seq2seq", "clip", "image_classification") for name in method_names(task)}
    assert names == {kind.name for kind in methods().values()}
    assert len(methods()) == 12


def test_a_method_from_elsewhere_brings_its_own_entry():
    entry = "@misc{me2026, title={Mine}}"
    assert citations(MethodText("", "", (entry,)))[-1] == entry
