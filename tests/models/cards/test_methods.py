from __future__ import annotations

import re

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.models.cards.methods import METHODS, SEARCH, citations
from hf_equi.models.causal_lm.methods import create
from hf_equi.models.clip.methods import create as create_clip


def test_a_card_knows_every_method():
    for make in (lambda: create("?", "logits"), lambda: create_clip("?", "features", "image")):
        with pytest.raises(ConfigurationError) as error:
            make()
        offered = re.findall(r"'(\w+)'", str(error.value).split("use one of")[1])
        assert len(offered) >= 5
        assert set(offered) <= set(METHODS)


@pytest.mark.parametrize("method", [*METHODS.values(), SEARCH], ids=[*METHODS, "search"])
def test_every_method_has_what_to_cite(method):
    entries = citations(method)
    assert "arxiv.org/abs/2210.06475" in entries[0]
    assert "arxiv.org/abs/2305.09900" in entries[1]
    assert len(entries) == 2 + len(method.sources)
    assert all(entry.startswith("@") and entry.count("{") == entry.count("}") for entry in entries)
