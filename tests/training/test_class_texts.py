"""Class texts by hand, and batches that carry them."""

from __future__ import annotations

import re

import pytest
import torch
from small_processors import image_processor
from small_training import NAMES, classification, comparison, rows, tokenizer
from small_vision import clip
from torch.nn.functional import normalize
from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

from hf_equi import ImageGroup, symmetrize
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.training import ClassTexts, class_text_features

TEMPLATES = ("a photo of a {}", "a sketch of an {} photo")


def test_features_are_normalised_means_over_templates():
    model = comparison().train()
    features = class_text_features(model, tokenizer(), NAMES, TEMPLATES)
    assert model.training
    assert not features.requires_grad
    for name, received in zip(NAMES, features, strict=True):
        rows = []
        for template in TEMPLATES:  # one by one, without padding
            ids = tokenizer()(template.format(name), return_tensors="pt")
            with torch.no_grad():
                rows.append(normalize(model.eval().base.get_text_features(**ids).pooler_output[0], dim=0))
        assert torch.allclose(received, normalize((rows[0] + rows[1]) / 2, dim=0), atol=1e-6)
    model.train()
    assert torch.equal(class_text_features(model.base, tokenizer(), NAMES, TEMPLATES), features)

    class Processor:
        tokenizer = tokenizer()

    assert torch.equal(class_text_features(model, Processor(), NAMES, TEMPLATES), features)


def test_texts_of_siglip_are_padded_to_the_full_length():
    """That of the model: a tokenizer need not say how long its texts may be."""
    seen = []

    def tokenize(texts, **settings):
        endless = tokenizer()
        endless.model_max_length = VERY_LARGE_INTEGER
        tokens = endless(texts, return_token_type_ids=False, **settings)
        seen.append((settings["padding"], tokens["input_ids"].shape[1]))
        return tokens

    model = symmetrize(clip("siglip"), ImageGroup.rotations(4))
    for one in (model, model.base):
        class_text_features(one, tokenize, NAMES[:1])
    class_text_features(comparison(), tokenize, NAMES[:1])
    assert seen == [("max_length", 16), ("max_length", 16), (True, 7)]


def test_batches_carry_texts_last():
    given = torch.ones(4, 12, requires_grad=True)
    texts = ClassTexts(given)
    batch = texts([rows()[i] for i in range(3)])
    assert list(batch)[-1] == "text_features"
    assert batch["text_features"].shape == (4, 12)
    assert not batch["text_features"].requires_grad
    assert batch["labels"].tolist() == [0, 1, 2]
    own = ClassTexts(given, collate=lambda examples: {"number": len(examples)})
    assert own([{}, {}])["number"] == 2


def test_senseless_texts_are_refused():
    for names, templates in [([], TEMPLATES), (NAMES, []), ("cat", TEMPLATES), (NAMES, "a {}")]:
        with pytest.raises(ConfigurationError, match="a list of names and a list of templates"):
            class_text_features(comparison(), tokenizer(), names, templates)
    for template in ("a photo", "a {} of a {}", "a {name}", "a {0}", "a { photo"):
        with pytest.raises(
            ConfigurationError, match=f"^'{re.escape(template)}' needs exactly one place for the name of a class"
        ):
            class_text_features(comparison(), tokenizer(), NAMES, ["a {}", template])


def test_what_has_no_texts_is_refused():
    for model in (classification(), classification().base):
        with pytest.raises(UnsupportedModelError, match="is not a CLIP-like model"):
            class_text_features(model, tokenizer(), NAMES)
    for processor, name in [(image_processor(), "ViTImageProcessorPil"), (None, "NoneType")]:
        with pytest.raises(ConfigurationError, match=f"A {name} does not read texts: pass the model's tokenizer"):
            class_text_features(comparison(), processor, NAMES)
