from __future__ import annotations

import pytest
from small_models import GENDER
from small_processors import image_processor
from wrapped_vision import TURNS

from hf_equi.errors import ConfigurationError
from hf_equi.groups import FiniteGroup
from hf_equi.models.vision.configuration_equi_vision import EquiVisionConfig
from hf_equi.models.vision.task import SETTINGS
from hf_equi.registration import tasks

TASK_NAMES = ("image_classification", "clip")


@pytest.fixture(params=TASK_NAMES)
def task(request):
    return tasks()[request.param]


def test_the_plane_acts_and_nothing_else(task):
    task.check_group(TURNS)
    for group in (GENDER, FiniteGroup.cyclic(4)):
        with pytest.raises(ConfigurationError, match=rf"not {type(group).__name__}\. Make one: hf_equi\.ImageGroup"):
            task.check_group(group)


def test_settings_are_entries_of_the_config(task):
    for name in SETTINGS:
        assert hasattr(EquiVisionConfig, name)
    task.check_settings(dict.fromkeys((*SETTINGS, "processor"), 1))
    with pytest.raises(ConfigurationError, match="average: a model that"):
        task.check_settings({"average": "logits"})


def test_the_processor_is_the_one_given_or_the_one_beside_the_weights(tmp_path):
    task, given = tasks()["image_classification"], image_processor()
    assert task.prepare(None, {}, {}) is None
    assert task.prepare(None, {"processor": given}, {}) is given
    assert task.prepare(str(tmp_path), {}, {}) is None
    given.save_pretrained(tmp_path)
    assert task.prepare(str(tmp_path), {}, {}).to_dict() == given.to_dict()
    assert task.prepare(str(tmp_path), {"processor": given}, {}) is given
    for other in ("x", tmp_path, object()):
        with pytest.raises(
            ConfigurationError, match=r"is not a processor of transformers: pass AutoImageProcessor\.from"
        ):
            task.prepare(None, {"processor": other}, {})
