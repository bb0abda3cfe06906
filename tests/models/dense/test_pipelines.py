"""The pipelines for segmentation and depth, of a model and of a folder, and a `Trainer` with labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from small_dense import CLASSES, SIDE, TURNS, pictures, wrap
from transformers import (
    GLPNImageProcessorPil,
    SegformerImageProcessorPil,
    Trainer,
    TrainingArguments,
    pipeline,
)

import hf_equi

NOISE = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)


def picture(width, height):
    return Image.fromarray(NOISE).resize((width, height), Image.Resampling.BICUBIC)


def processor_of(family):
    if family == "segformer":
        return SegformerImageProcessorPil(size={"height": SIDE, "width": SIDE})
    return GLPNImageProcessorPil(size_divisor=SIDE)


def answer(task, said):
    """One array of a pipeline's answer, as large as the picture."""
    if task == "depth-estimation":
        return said["predicted_depth"].numpy()
    shown = {each["label"]: np.asarray(each["mask"]) for each in said}
    return np.stack([shown.get(f"class {n}", np.zeros_like(next(iter(shown.values())))) for n in range(CLASSES)], -1)


@pytest.mark.parametrize(
    ("task", "family", "size"),
    [
        ("image-segmentation", "segformer", (50, 50)),
        ("image-segmentation", "segformer", (60, 40)),  # which the processor makes square
        ("depth-estimation", "glpn", (64, 64)),
    ],
)
def test_a_turned_picture_gives_the_turned_answer(task, family, size, tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.pipelines.base.logger.error", pytest.fail)  # about a model that it does not know
    model = wrap(family, TURNS)
    model.processor = hf_equi.symmetric_processor(processor_of(family))
    model.save_pretrained(tmp_path)
    upright = picture(*size)
    base = pipeline(task, model=model.unwrap(), image_processor=model.processor)
    for each in (pipeline(task, model=model, image_processor=model.processor), pipeline(task, model=str(tmp_path))):
        assert isinstance(each.model, hf_equi.EquiForDensePrediction)
        required = answer(task, each(upright))
        assert required.shape[:2] == size[::-1]
        for turns in range(1, 4):
            turned = upright.transpose(Image.Transpose(Image.Transpose.ROTATE_90 + turns - 1))
            received = np.rot90(answer(task, each(turned)), -turns)
            np.testing.assert_allclose(received, required, atol=2e-5)
            assert np.abs(np.rot90(answer(task, base(turned)), -turns) - answer(task, base(upright))).max() > 1e-3


def test_a_trainer_trains_evaluates_and_predicts(tmp_path):
    model = wrap("segformer", TURNS, "lambda")
    rows = [{"pixel_values": x, "labels": (x.mean(0) * 40).long() % CLASSES} for x in pictures(8)]
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    arguments = TrainingArguments(
        tmp_path, max_steps=2, per_device_train_batch_size=4, report_to=[], use_cpu=True, learning_rate=0.01
    )
    trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=rows)
    trainer.train()
    moved = {name.split(".")[0] for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == {"base", "lambda_network"}
    assert trainer.evaluate()["eval_loss"] > 0
    predicted = trainer.predict(rows)
    assert predicted.predictions.shape == (8, CLASSES, 8, 8)
    assert predicted.label_ids.shape == (8, SIDE, SIDE)
