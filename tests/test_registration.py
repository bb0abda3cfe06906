from __future__ import annotations

import pytest
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

import hf_equi
from hf_equi import auto_classes, registration
from hf_equi.errors import ConfigurationError
from hf_equi.groups import FiniteGroup
from hf_equi.models.base import EquiPreTrainedModel
from hf_equi.models.task import Task
from hf_equi.registration import (
    create_method,
    method_names,
    read_settings,
    register_method,
    register_models,
    register_task,
    task_names,
    tasks,
    unregister_task,
)
from hf_equi.stubs import read_stub


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registration, "_TASKS", dict(registration._TASKS))
    monkeypatch.setattr(registration, "_MADE", dict(registration._MADE))


def settings_of(**settings):
    return settings


class Speech:
    what = "model of speech"

    @classmethod
    def check_complete(cls): ...


def register(name="speech", **methods):
    register_task(name=name, task=Speech, models=[], methods=methods)


def test_tasks_are_made_once_and_know_their_name():
    register()
    assert task_names()[-1] == "speech"
    made = tasks()["speech"]
    assert isinstance(made, Speech)
    assert made.name == "speech"
    assert tasks()["speech"] is made
    unregister_task("speech")
    assert "speech" not in tasks()
    with pytest.raises(ConfigurationError, match="task='speech' is not known"):
        unregister_task("speech")
    register()
    assert tasks()["speech"] is not made


def test_the_library_registers_its_own():
    known = ("causal_lm", "seq2seq", "clip", "image_classification", "dense", "sam", "q_network")
    clouds = ("point_cloud_classification", "point_cloud_segmentation", "n_body")
    assert task_names() == (*known, *clouds)
    for name, task in tasks().items():
        assert task.name == name
        assert issubclass(task.model_class, EquiPreTrainedModel)
        assert "equitune" in method_names(name)
        assert task.settings >= {"orbit_chunk_size"}


def test_public_names_are_those_of_registered_models_too():
    for place in auto_classes.places():
        model = getattr(hf_equi, place.model)
        assert model.config_class is getattr(hf_equi, place.config)
        assert model.config_class.model_type == place.model_type
        assert isinstance(model, type)
        assert issubclass(model, PreTrainedModel)
        assert issubclass(model.config_class, PreTrainedConfig)
        assert {place.config, place.model} <= set(read_stub("hf_equi")), "type checkers read the stub"


def test_settings_that_a_method_reads_are_those_of_its_factory():
    names = ["average", "loss"]
    assert read_settings("seq2seq", "equitune", names) == ["average"]
    assert read_settings("seq2seq", "equizero", names) == ["loss"]
    assert read_settings("seq2seq", "identity", names) == []
    register(all=settings_of)
    assert read_settings("speech", "all", names) == names
    with pytest.raises(ConfigurationError, match="'magic' is not known to text-to-text generation: "):
        read_settings("seq2seq", "magic", names)


def test_methods_are_made_with_those_settings_that_they_take():
    register(mean=settings_of, first=lambda: 1, weighed=lambda weight, least=3: (weight, least))
    given = {"weight": 3, "average": "logits"}
    assert create_method("speech", "mean", **given) == given
    assert create_method("speech", "first", **given) == 1
    assert create_method("speech", "weighed", **given) == (3, 3)
    register_method(task="speech", name="placed", factory="hf_equi.symmetrizers:Equitune")
    assert create_method("speech", "placed", **given).combine.average == "logits"


def test_names_are_sorted_and_belong_to_their_task():
    register(mean=settings_of, first=settings_of, all_2=settings_of)
    register("music", other=settings_of)
    assert method_names("speech") == ["all_2", "first", "mean"]
    assert method_names("music") == ["other"]
    assert {"all_2", "other", "lambda", "mixture"} <= set(method_names())
    with pytest.raises(ConfigurationError, match=r"task='poetry' is not known: use one of 'causal_lm', .*'music'"):
        method_names("poetry")


@pytest.mark.parametrize("name", ["other", ["mean"]])
def test_unknown_methods_are_refused_with_the_known(name):
    register(mean=settings_of, first=settings_of)
    with pytest.raises(ConfigurationError, match=r"is not known to speech: use one of 'first', 'mean'\.$"):
        create_method("speech", name)


def test_taken_names_are_refused():
    register(mean=settings_of)
    with pytest.raises(ConfigurationError, match="'speech' already has a method 'mean'"):
        register_method(task="speech", name="mean", factory=list)
    with pytest.raises(ConfigurationError, match="There is already a task 'speech'"):
        register()
    assert create_method("speech", "mean") == {}


@pytest.mark.parametrize("name", ["Mean", "two words", "a-b", "", "2nd"])
def test_bad_names_are_refused(name):
    register()
    with pytest.raises(ConfigurationError, match=f"{name!r} cannot name a method: use lower-case"):
        register_method(task="speech", name=name, factory=settings_of)
    with pytest.raises(ConfigurationError, match=f"{name!r} cannot name a task"):
        register(name)
    assert method_names("speech") == []


def test_a_place_that_is_watched_is_known_to_the_auto_classes():
    register_models([auto_classes.places()[0]])  # again, which changes nothing
    assert auto_classes.places()[0].model_type == "equi_lm"


def test_what_cannot_be_registered_leaves_nothing_behind():
    class Nothing(Task): ...

    class All(Task):
        what, group_class, group_example = "model", FiniteGroup, "..."
        model_class = type("Model", (), {"auto_class": AutoModel})

    for task, message in (
        (Nothing, "must define what, model_class, group_class, group_example"),
        (All, "name its own"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            register_task(name="speech", task=task, models=[], methods={})
    with pytest.raises(ConfigurationError, match="cannot name a method"):
        register(**{"two words": settings_of})
    with pytest.raises(ConfigurationError, match="cannot be registered as a model"):
        register_task(name="speech", task=Speech, models=[int], methods={})
    with pytest.raises(ConfigurationError, match="The model type 'equi_lm' is taken by ModelPlace"):
        register_models([auto_classes.ModelPlace("equi_lm", "elsewhere", "Config", "Model", ())])
    assert "speech" not in task_names()


def test_a_task_that_cannot_be_made_is_named():
    register_task(name="speech", task="no_such_package:Task", models=[], methods={})
    with pytest.raises(ConfigurationError, match=r"'speech' cannot be made from .*unregister_task\('speech'\)"):
        tasks()
