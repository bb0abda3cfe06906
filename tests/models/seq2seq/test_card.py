from __future__ import annotations

from small_seq2seq import wrap as wrap_seq2seq


def test_sequence_models_speak_of_both_sides():
    model = wrap_seq2seq("lstm", method="equizero")
    kind = model.card_kind
    assert "source tokens and" in kind.group_text(model)
    assert "do not move" not in kind.group_text(model)  # a set that one side knows moves
    assert kind.config_settings(model)["loss"] == "max_probability"
    assert "loss" not in kind.config_settings(wrap_seq2seq("lstm"))
    assert {"A choice", "Each member alone"} <= {limit[2:].split(".")[0] for limit in kind.limits(model)}
