"""What all tasks say alike: whose a model is, and which settings it takes."""

from __future__ import annotations

import pytest
from small_models import GENDER, base_model, tokenizer
from small_seq2seq import base
from transformers import (
    BartConfig,
    BertConfig,
    BertModel,
    CLIPConfig,
    GPT2Config,
    MambaConfig,
    PreTrainedConfig,
    T5Config,
    ViTConfig,
    ViTMAEConfig,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.models.task import Request
from hf_equi.registration import tasks

CAUSAL, SEQ2SEQ = tasks()["causal_lm"], tasks()["seq2seq"]

CLOUDS = ("point_cloud_classification", "point_cloud_segmentation", "n_body")


def test_tasks_are_known_by_their_names():
    assert [task.name for task in tasks().values()] == list(tasks())
    known = ["causal_lm", "seq2seq", "clip", "image_classification", "dense", "sam", "q_network"]
    assert list(tasks()) == [*known, *CLOUDS]


@pytest.mark.parametrize(
    ("config", "knowing"),
    [
        (GPT2Config(), [CAUSAL]),
        (T5Config(), [SEQ2SEQ]),
        (BartConfig(), [CAUSAL, SEQ2SEQ]),
        (base("lstm").config, [SEQ2SEQ]),
        (ViTConfig(), [tasks()["image_classification"]]),
        (CLIPConfig(), [tasks()["clip"], tasks()["image_classification"]]),
        (ViTMAEConfig(), []),
        (PreTrainedConfig(auto_map={"AutoModelForCausalLM": "code.Model"}), [CAUSAL]),
        (PreTrainedConfig(auto_map={"AutoModelForSeq2SeqLM": "code.Model"}), [SEQ2SEQ]),
        (PreTrainedConfig(auto_map={"AutoModel": "code.Model"}), []),
    ],
)
def test_configs_are_known_by_their_class_or_by_the_code_they_name(config, knowing):
    assert [task for task in tasks().values() if task.knows(config)] == knowing


@pytest.mark.parametrize(
    ("architectures", "naming"),
    [
        (None, []),
        (["BartModel"], []),
        (["BartForCausalLM"], [CAUSAL]),
        (["BartForConditionalGeneration"], [SEQ2SEQ]),
    ],
)
def test_architectures_name_the_task(architectures, naming):
    config = BartConfig(architectures=architectures)
    assert [task for task in tasks().values() if task.names_architecture(config)] == naming


def test_an_architecture_of_another_family_names_nothing():
    assert not SEQ2SEQ.names_architecture(PreTrainedConfig(architectures=["T5ForConditionalGeneration"]))


def test_configs_are_checked_by_their_class():
    CAUSAL.check_config(GPT2Config())
    SEQ2SEQ.check_config(T5Config())
    code = {"AutoModelForCausalLM": "code.Model"}
    CAUSAL.check_config(PreTrainedConfig(auto_map=code))  # of unknown classes nothing can be said yet
    with pytest.raises(UnsupportedModelError, match="MambaForCausalLM takes no key-value cache"):
        CAUSAL.check_config(MambaConfig())
    for task, config in ((CAUSAL, T5Config()), (tasks()["clip"], ViTConfig()), (SEQ2SEQ, PreTrainedConfig())):
        with pytest.raises(
            UnsupportedModelError, match=rf"'{config.model_type}' model is not a .*{task.name!r}\): leave"
        ):
            task.check_config(config)


def whisper():
    sizes = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
    heads = {"encoder_attention_heads": 1, "decoder_attention_heads": 1}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    return WhisperForConditionalGeneration(WhisperConfig(vocab_size=9, **sizes, **heads, **ids))


def test_models_are_owned_by_what_they_do():
    assert [task for task in tasks().values() if task.owns(base_model("gpt2"))] == [CAUSAL]
    for family in ("t5", "bart", "marian", "lstm"):
        assert [task for task in tasks().values() if task.owns(base(family))] == [SEQ2SEQ]
        SEQ2SEQ.check_model(base(family))
    CAUSAL.check_model(base_model("gpt2"))


@pytest.mark.parametrize(
    ("task", "model", "message"),
    [
        (
            CAUSAL,
            lambda: base("t5"),
            r"T5\w+ is not a model that reads from left .*: load one with AutoModelForCausalLM",
        ),
        (SEQ2SEQ, lambda: base_model("gpt2"), r"GPT2\w+ is not a sequence-to-sequence .* with AutoModelForSeq2SeqLM"),
        (
            CAUSAL,
            lambda: BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1)),
            "BertModel is not a model that reads",
        ),
        (
            SEQ2SEQ,
            whisper,
            "WhisperForConditionalGeneration takes no input_ids, so it is not a text-to-text model",
        ),
    ],
)
def test_models_of_another_task_are_refused(task, model, message):
    with pytest.raises(UnsupportedModelError, match=message):
        task.check_model(model())


@pytest.mark.parametrize("task", [CAUSAL, SEQ2SEQ])
def test_settings_of_other_tasks_are_refused_by_name(task):
    task.check_settings(dict.fromkeys(task.settings))
    others = set().union(*(other.settings for other in tasks().values())) - task.settings
    assert len(others) >= 3
    for name in others:
        with pytest.raises(
            ConfigurationError, match=rf"^{name}: a .* does not use these settings \(task='{task.name}'\)"
        ):
            task.check_settings({name: 1, "average": "logits"})
    with pytest.raises(ConfigurationError, match=f"^{', '.join(sorted(others))}: a "):
        task.check_settings(dict.fromkeys(others))


def request(hub=None, **settings):
    return Request(base_model("gpt2").config, GENDER, "canonical", tokenizer(), settings, hub)


def test_common_entries_are_those_asked_for():
    entries = request(average="probabilities", scorer=len).common("average", "multi_token")
    assert entries == {
        "base_config": base_model("gpt2").config,
        "group": GENDER.to_dict(),
        "method": "canonical",
        "average": "probabilities",
    }


def test_a_base_that_was_loaded_by_its_name_leaves_it(monkeypatch):
    asked = []

    def hub_name(config, **hub):
        asked.append((config, hub))
        return "us/base", "abc"

    monkeypatch.setattr("hf_equi.models.task.hub_name", hub_name)
    assert "base_name" not in request().common()
    entries = request(hub={"revision": "main", "dtype": "auto"}).common()
    assert (entries["base_name"], entries["base_revision"]) == ("us/base", "abc")
    assert asked == [(base_model("gpt2").config, {"revision": "main", "dtype": "auto"})]
