from __future__ import annotations

import pytest
from transformers.modelcard import TASK_MAPPING

from hf_equi import (
    EquiCLIPModel,
    EquiForImageClassification,
    EquiForSeq2SeqLM,
    EquiLM,
    EquiSiglipModel,
    EquizeroLM,
)
from hf_equi.models.cards.kinds import CardKind

CLASSES = (EquiCLIPModel, EquiForImageClassification, EquiForSeq2SeqLM, EquiLM, EquiSiglipModel, EquizeroLM)


@pytest.mark.parametrize("model_class", CLASSES)
def test_every_class_has_a_kind_of_card(model_class):
    assert isinstance(model_class.card_kind, CardKind)
    assert model_class.model_tags == ["hf_equi", "equivariance"]


@pytest.mark.parametrize(
    "model_class", [one for one in CLASSES if "CLIP" not in one.__name__ and one is not EquiSiglipModel]
)
def test_the_task_is_that_of_the_auto_class(model_class):
    names = {tag for tag, mapping in TASK_MAPPING.items() if mapping is not None}
    assert model_class.card_kind.pipeline_tag in names


def test_a_kind_without_its_words_is_none():
    with pytest.raises(TypeError, match="abstract"):
        CardKind()
