"""Adapters of peft on the base of a symmetrised model."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from small_training import NAMES, QUIET, changed, classification, comparison, rows, snapshot, tokenizer
from small_vision import images
from transformers import Trainer, TrainingArguments

from hf_equi.testing import assert_equivariant
from hf_equi.training import ClassTexts, class_text_features

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # by peft
# By the path in the model: a bare "q_proj" would be found in a frozen copy of the base and in text towers, too.
TARGETS = r"base\.(vit|vision_model)\..*\.(q_proj|v_proj)"


@pytest.mark.parametrize("kind", ["classification", "comparison"])
def test_lora_trains_alone_and_merges_back(kind, tmp_path):
    clip = kind == "comparison"
    frozen = {"lambda_features": "frozen"}
    model = comparison("lambda", **frozen) if clip else classification("lambda", "vit", **frozen)
    texts = ClassTexts(class_text_features(model, tokenizer(), NAMES)) if clip else None
    extras = {"text_features": texts.text_features} if clip else {}
    before = snapshot(model)
    adapted = get_peft_model(model, LoraConfig(target_modules=TARGETS, r=2))
    arguments = TrainingArguments(str(tmp_path), max_steps=2, learning_rate=0.1, label_names=["labels"], **QUIET)
    start = snapshot(adapted)
    trainer = Trainer(adapted, arguments, data_collator=texts, train_dataset=rows())
    trainer.train()
    moved = changed(adapted, start)
    assert moved
    assert all("lora_" in name and ".frozen_base." not in name for name in moved)
    assert {name for name in start if "lora_" in name} == moved

    def scores(one, x):
        with torch.no_grad():
            return next(iter(one(pixel_values=x, **extras).values()))

    adapted.eval()
    assert_equivariant(lambda x: scores(adapted, x), images(2), model.action)
    expected = scores(adapted, images(2))
    merged = adapted.merge_and_unload()
    assert merged is model
    assert torch.allclose(scores(merged, images(2)), expected, atol=1e-5)
    assert changed(model, before) <= {name for name in before if name.endswith(("q_proj.weight", "v_proj.weight"))}
    model.save_pretrained(tmp_path / "merged")
    loaded = type(model).from_pretrained(tmp_path / "merged")
    assert torch.equal(scores(loaded, images(2)), scores(merged, images(2)))


def test_lambda_trains_beside_lora():
    model = classification("lambda", "vit")
    adapted = get_peft_model(model, LoraConfig(target_modules=TARGETS, r=2, modules_to_save=["lambda_network"]))
    adapted(pixel_values=images(2), labels=torch.tensor([0, 1])).loss.backward()
    with_gradient = {name for name, parameter in adapted.named_parameters() if parameter.grad is not None}
    assert any("lambda_network" in name for name in with_gradient)
    assert all("lora_" in name or "lambda_network" in name for name in with_gradient)
    merged = adapted.merge_and_unload()
    merged.eval()
    with torch.no_grad():
        assert_equivariant(lambda x: merged(x).logits, images(2), model.action)
