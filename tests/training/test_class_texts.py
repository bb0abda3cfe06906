"""Class texts by hand, and batches that carry them."""

from __future__ import annotations

import pytest
import torch
from small_training import NAMES, comparison, rows, tokenizer
from small_vision import clip
from torch.nn.functional import normalize

from hf_equi.errors import ConfigurationError
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
    seen = []

    def tokenize(texts, **settings):
        seen.append(settings["padding"])
        return tokenizer()(texts, return_token_type_ids=False, **settings)

    from hf_equi import ImageGroup, symmetrize

    model = symmetrize(clip("siglip"), ImageGroup.rotations(4))
    for one in (model, model.base):
        class_text_features(one, tokenize, NAMES[:1])
    class_text_features(comparison(), tokenize, NAMES[:1])
    assert seen == ["max_length", "max_length", True]


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
    with pytest.raises(ConfigurationError, match="'a photo' has no place for the name"):
        class_text_features(comparison(), tokenizer(), NAMES, ["a {}", "a photo"])
