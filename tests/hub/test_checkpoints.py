from __future__ import annotations

import pytest
from small_seq2seq import fresh
from wrapped_vision import TURNS, wrap

from hf_equi.errors import ConfigurationError
from hf_equi.hub.checkpoints import load_checkpoint


def test_every_kind_of_checkpoint_is_loaded_by_its_config(tmp_path):
    wrap("resnet", TURNS, "lambda").save_pretrained(tmp_path)
    model, stores_base = load_checkpoint(tmp_path)
    assert type(model).__name__ == "EquiForImageClassification"
    assert stores_base


def test_a_folder_without_one_says_how_to_make_one(tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"holds no config.json, so it is not a checkpoint: make one with hf-equi convert"
    ):
        load_checkpoint(tmp_path)
    fresh("lstm").save_pretrained(tmp_path)  # a model of this library, and a base all the same
    with pytest.raises(ConfigurationError, match="holds a 'recurrent_seq2seq' model, which is not symmetrised"):
        load_checkpoint(tmp_path)
