from __future__ import annotations

import pytest
from cached_bases import cache_base
from small_models import GENDER, base_model, tokenizer

import hf_equi
from hf_equi.models.hub.origins import Origin, hub_name, read_card, read_origin

CARD = "---\nlicense: mit\nlanguage: en\n---\n# small\n"


def test_a_base_of_the_hub_is_known_by_its_name_and_its_card(tmp_path, monkeypatch):
    (cache_base(tmp_path) / "README.md").write_text(CARD)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    lm = hf_equi.symmetrize("someone/small", GENDER)
    assert read_origin(lm) == Origin("someone/small", "a" * 40, {"license": "mit", "language": "en"})
    assert hub_name(lm.base.config) == ("someone/small", "a" * 40)


def test_a_base_of_a_folder_has_a_card_and_no_name(tmp_path):
    base_model().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text(CARD)
    origin = read_origin(hf_equi.symmetrize(tmp_path, GENDER))
    assert (origin.name, origin.metadata["license"]) == (None, "mit")


def test_a_base_that_is_gone_has_neither(monkeypatch):
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    assert read_origin(lm) == Origin()
    lm.config.base_name = "someone/small"  # which is in no cache, and the Hub cannot be asked
    assert read_origin(lm) == Origin("someone/small")


@pytest.mark.parametrize("head", ["---\n- a\n- list\n---\n", "---\na: [\n---\n"])
def test_a_head_that_is_none_does_no_harm(tmp_path, head):
    (tmp_path / "README.md").write_text(f"{head}# small\n")
    metadata, text = read_card(tmp_path / "README.md")
    assert metadata == {}
    assert text.endswith("# small\n")
    assert read_card(tmp_path / "nothing.md") == ({}, "")
