from __future__ import annotations

from transformers import ResNetConfig

from hf_equi.models.vision.class_names import ClassNames, entry_of


class Own(ClassNames):
    def __init__(self, base, id2label=None):
        self.base_config, self.id2label, self.label2id = base, id2label, None


def test_classes_are_those_of_the_base_unless_others_are_named():
    base = ResNetConfig(id2label={0: "cat", 1: "dog", 2: "hen"}, image_size=8)
    own = Own(base)
    own.copy_classes({})
    own.copy_sizes()
    assert own.id2label == {0: "cat", 1: "dog", 2: "hen"}
    assert own.id2label is not base.id2label
    assert own.num_channels == 3
    counted = Own(base)
    counted.copy_classes({"num_labels": 2})
    assert counted.id2label is None
    named = Own(base, {0: "yes", 1: "no"})
    named.copy_classes({})
    named.label2id = {"yes": 0, "no": 1}
    named.name_classes()
    assert base.id2label == {0: "yes", 1: "no"}
    base.label2id = None
    own.follow_classes()
    assert own.label2id == {"yes": 0, "no": 1}


def test_entries_of_stored_configs_are_copies():
    stored = {"id2label": {0: "cat"}}
    found = entry_of(stored, "id2label")
    assert found == {0: "cat"}
    assert found is not stored["id2label"]
    assert entry_of(stored, "label2id") is None
