from __future__ import annotations

import torch
from wrapped_vision import SQUARE, wrap_clip

from hf_equi.models.cards.random_inputs import random_ids
from hf_equi.models.vision.probes import image_probe


def test_images_are_of_the_size_that_the_base_reads():
    model = wrap_clip("clip", SQUARE)
    size = model.config.base_config.vision_config.image_size
    probe = image_probe(model, random_ids(3, 8, 20))
    assert probe.inputs.shape == (2, 3, size, size)
    assert "3 random texts" in probe.described
    with torch.no_grad():
        assert probe.run(model, probe.inputs).shape == (2, 3)
