from __future__ import annotations

from small_processors import clip_processor, image_processor
from transformers import AutoImageProcessor, AutoProcessor

from hf_equi.models.processors import load_processor


def test_processors_beside_a_checkpoint(tmp_path):
    image_processor().save_pretrained(tmp_path)
    assert load_processor(AutoImageProcessor, tmp_path, {}).to_dict() == image_processor().to_dict()


def test_processors_of_both(tmp_path):
    processor = clip_processor("clip")
    processor.save_pretrained(tmp_path)
    loaded = load_processor(AutoProcessor, tmp_path, {})
    assert type(loaded) is type(processor)
    assert loaded.image_processor.to_dict() == processor.image_processor.to_dict()
    assert loaded.tokenizer.get_vocab() == processor.tokenizer.get_vocab()


def test_none_where_there_is_none(tmp_path):
    assert load_processor(AutoImageProcessor, tmp_path, {}) is None
    assert load_processor(AutoProcessor, tmp_path, {}) is None
