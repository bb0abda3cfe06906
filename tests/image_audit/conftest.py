"""A folder of small pictures, and a tiny random classifier with its processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_pictures import NAMES, write_pictures
from small_processors import image_processor
from small_vision import classifier
from transformers import PreTrainedModel

from hf_equi import symmetric_processor


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures in two subfolders."""
    path = tmp_path_factory.mktemp("pictures")
    write_pictures(path)
    return path


@pytest.fixture(scope="session")
def base() -> PreTrainedModel:
    """A random ResNet with names of classes."""
    model = classifier("resnet-basic")
    model.config.id2label = dict(NAMES)
    return model


@pytest.fixture(scope="session")
def processor() -> Any:
    """One that commutes with turns."""
    return symmetric_processor(image_processor())
