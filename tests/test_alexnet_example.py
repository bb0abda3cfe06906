"""The adapter of torchvision's AlexNet, where torchvision works."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import hf_equi
from hf_equi import ImageGroup

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from alexnet import AlexNetConfig, AlexNetForImageClassification


def test_without_torchvision_it_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(ImportError, match="pip install torchvision"):
        AlexNetForImageClassification(AlexNetConfig(num_labels=3))


def test_alexnet_is_symmetrised_saved_and_loaded(tmp_path):
    pytest.importorskip("torchvision", reason="AlexNet comes from torchvision, which nothing but an extra needs")
    model = hf_equi.symmetrize(
        AlexNetForImageClassification(AlexNetConfig(num_labels=3)).eval(), ImageGroup.rotations(4)
    )
    images = torch.rand(2, 3, 32, 32)
    logits = model(images).logits
    assert logits.shape == (2, 3)
    torch.testing.assert_close(model(images.rot90(1, (2, 3))).logits, logits, atol=1e-5, rtol=0)
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(hf_equi.EquiForImageClassification.from_pretrained(tmp_path)(images).logits, logits)
