from __future__ import annotations

import pytest

from hf_equi.bases.hub_names import check_hub_name
from hf_equi.errors import ConfigurationError


@pytest.mark.parametrize("name", ["gpt2", "user/name", "user-1/na.me_2"])
def test_names_on_the_hub_pass(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert check_hub_name(name, "The base") == name


@pytest.mark.parametrize(
    "name", ["", None, 7, "/etc", "../other", "./name", "a/b/c", "C:\\base", "user/..", "user//x"]
)
def test_other_names_are_refused(name):
    with pytest.raises(ConfigurationError, match=r"The base of here is stored as .*, which is not a name on the Hub"):
        check_hub_name(name, "The base of here")


def test_a_folder_of_that_name_does_not_take_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "user" / "name").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"has the same name, so transformers would read it.*Rename it"):
        check_hub_name("user/name", "The base")
