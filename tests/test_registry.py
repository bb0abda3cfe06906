from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.registry import create_method, method_names, register_method


@pytest.fixture(autouse=True)
def _empty_registry(monkeypatch):
    monkeypatch.setattr("hf_equi.registry._METHODS", {})


def test_methods_are_made_with_their_settings():
    register_method(task="speech", name="mean", factory=dict)
    register_method(task="music", name="mean", factory=list)
    assert create_method("speech", "mean", weight=3) == {"weight": 3}
    assert create_method("music", "mean") == []
    assert create_method("speech", "mean") is not create_method("speech", "mean")


def test_names_are_sorted_and_belong_to_their_task():
    for name in ("mean", "first", "all_2"):
        register_method(task="speech", name=name, factory=dict)
    register_method(task="music", name="other", factory=dict)
    assert method_names("speech") == ["all_2", "first", "mean"]
    assert method_names("music") == ["other"]
    assert method_names("poetry") == []


def test_unknown_method_raises_and_lists_the_known():
    register_method(task="speech", name="mean", factory=dict)
    register_method(task="speech", name="first", factory=dict)
    register_method(task="music", name="other", factory=dict)
    with pytest.raises(ConfigurationError, match=r"'speech' has no method 'other': use one of 'first', 'mean'$"):
        create_method("speech", "other")


def test_taken_names_raise():
    register_method(task="speech", name="mean", factory=dict)
    with pytest.raises(ConfigurationError, match="'speech' has a method 'mean' already"):
        register_method(task="speech", name="mean", factory=list)
    assert create_method("speech", "mean") == {}


@pytest.mark.parametrize("name", ["Mean", "two words", "a-b", "", "2nd"])
def test_bad_names_raise(name):
    with pytest.raises(ConfigurationError, match=f"{name!r} is no method name: use lower-case"):
        register_method(task="speech", name=name, factory=dict)
    assert method_names("speech") == []
