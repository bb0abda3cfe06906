from __future__ import annotations

from wrapped_vision import TURNS, wrap_clip


def test_siglip_reads_texts_of_one_length():
    for family, padding in (("clip", "True"), ("siglip", '"max_length"')):
        model = wrap_clip(family, TURNS)
        model.processor = object()
        assert f"padding={padding}," in model.card_kind.usage(model, '"me/x"')
