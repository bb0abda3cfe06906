from __future__ import annotations

from small_processors import image_processor
from wrapped_vision import TURNS, wrap

from hf_equi.models.vision.checkpoints import VisionCheckpointMixin


def test_a_processor_is_saved_where_there_is_one(tmp_path):
    model = wrap("resnet-basic", TURNS)
    assert isinstance(model, VisionCheckpointMixin)
    model._save_companions(tmp_path)
    assert list(tmp_path.iterdir()) == []
    model.processor = image_processor()
    model._save_companions(tmp_path)
    companions = type(model)._load_companions(tmp_path, model.config, {})
    assert companions["processor"].to_dict() == image_processor().to_dict()
