"""`predict_with_generate` writes what `generate` writes, for every class that writes."""

from __future__ import annotations

import pytest
import torch
from small_trainable import CASES, sequence
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments

WRITERS = {
    **{name: make for name, make in CASES.items() if "Seq2Seq" in name or "EquiLM" in name},
    "EquizeroLM": CASES["EquizeroLM"],
    "independent": lambda: sequence("gru", decoding="independent"),
    "own tokens": lambda: sequence("gru", "lambda", teacher_forcing_ratio=0.5),
}


@pytest.mark.parametrize("name", WRITERS)
def test_predictions_are_what_is_generated(name, tmp_path):
    case = WRITERS[name]()
    batch = case.batch()
    length = 8
    if not case.model.config.is_encoder_decoder:
        length += batch["input_ids"].shape[1]
    settings = {"predict_with_generate": True, "generation_max_length": length}
    trainer = case.trainer(tmp_path, Seq2SeqTrainer, Seq2SeqTrainingArguments, **settings)
    result = trainer.predict(case.data)
    case.model.eval()
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    written = case.model.generate(**inputs, max_length=length)
    assert result.predictions[:, : written.shape[1]].tolist() == written.tolist()
    assert (result.predictions[:, written.shape[1] :] == case.model.generation_config.pad_token_id).all()
    assert len(set(map(tuple, written.tolist()))) > 1
    with torch.no_grad():
        loss = case.model(**batch).loss.item()
    assert result.metrics["test_loss"] == pytest.approx(loss, rel=1e-5)
