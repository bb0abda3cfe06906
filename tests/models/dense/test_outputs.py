from __future__ import annotations

from small_dense import TURNS, pictures, wrap


def test_only_what_a_model_predicts_is_there():
    assert [*wrap("segformer", TURNS)(pictures(1))] == ["logits"]
    assert [*wrap("glpn", TURNS)(pictures(1))] == ["predicted_depth"]
    assert [*wrap("vitpose", TURNS, "equizero")(pictures(1))] == ["heatmaps", "chosen_element", "margin"]
