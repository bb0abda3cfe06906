from __future__ import annotations

from wrapped_vision import TURNS, wrap


def test_it_is_used_with_its_processor_or_with_numbers():
    model = wrap("resnet", TURNS)
    assert "torch.rand(1, 3," in model.card_kind.usage(model, '"me/x"')
    model.processor = object()
    assert "model.processor(images=Image.new" in model.card_kind.usage(model, '"me/x"')
