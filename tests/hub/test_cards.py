from __future__ import annotations

import pytest
import torch
from small_models import GENDER, base_model, tokenizer

import hf_equi
from hf_equi.errors import ConfigurationError
from hf_equi.hub import write_card


def test_a_card_is_written_of_a_model_or_of_its_folder(tmp_path):
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    lm.save_pretrained(tmp_path / "model")
    first = write_card(lm, tmp_path / "cards" / "one.md", license="mit")
    second = write_card(tmp_path / "model", tmp_path / "model", license="mit")
    assert second == tmp_path / "model" / "README.md"
    assert first.read_text() == second.read_text()
    assert "license: mit" in write_card(lm, tmp_path / "model").read_text()  # kept from the one before


def test_a_plain_model_has_no_such_card(tmp_path):
    with pytest.raises(ConfigurationError, match="A GPT2LMHeadModel is not symmetrised"):
        write_card(base_model(), tmp_path)
    with pytest.raises(ConfigurationError, match="A Linear is not symmetrised"):
        write_card(torch.nn.Linear(2, 2), tmp_path)
    assert not list(tmp_path.iterdir())
