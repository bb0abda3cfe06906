"""What is wrong with a repository is said when it is loaded, or it is not read at all."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_client import connected
from hub_models import equi_lm
from loopback_hub import LoopbackHub
from loopback_store import Repository
from small_models import END, PAD
from small_networks import tokenizer as word_tokenizer
from small_seq2seq import wrap
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from hf_equi.errors import ActionError, ConfigurationError, HfEquiWarning

NAME, PAIR = "me/equi-lm", "me/equi-translator"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> LoopbackHub:
    """What a hub has once an EquiLM and a translator are published."""
    with LoopbackHub() as server, connected(server, tmp_path_factory.mktemp("cache")):
        equi_lm().push_to_hub(NAME)
        wrap("marian-pair").push_to_hub(PAIR)
    return server


@pytest.fixture
def repository(hub: LoopbackHub, published: LoopbackHub) -> Repository:
    """An EquiLM on the hub, as it was published; beside it the translator."""
    hub.repositories, hub.large = copy.deepcopy(published.repositories), {**published.large}
    return hub.repositories[NAME]


def load(name: str = NAME) -> Any:
    return AutoModelForCausalLM.from_pretrained(name)


def edit_config(repository: Repository, **entries: Any) -> None:
    config = json.loads(repository.files()["config.json"])
    repository.replace({"config.json": json.dumps({**config, **entries}).encode()})


def edited_map(repository: Repository, name: str, place: int, token: int) -> dict[str, Any]:
    """A map with another token at a place of the first set of the first factor."""
    stored = json.loads(repository.files()["config.json"])[name]
    stored["sets"][0][0][place] = token
    return stored


def test_a_map_that_is_no_permutation(repository: Repository) -> None:
    stored = json.loads(repository.files()["config.json"])["token_map"]
    twice = edited_map(repository, "token_map", 1, stored["sets"][0][1][0])
    edit_config(repository, token_map=twice)
    with pytest.raises(ActionError, match=r"not a permutation: the token .* Symmetrize the base model again"):
        load()


def test_a_permutation_of_other_words(repository: Repository) -> None:
    lm = load()
    nurse = lm.tokenizer(" nurse").input_ids[-1]
    assert nurse not in lm.action.moved
    edit_config(repository, token_map=edited_map(repository, "token_map", 1, nurse))
    with pytest.raises(ConfigurationError, match=r"token_map of me/equi-lm does not move the words.*edited"):
        load()


def test_a_group_of_other_words(repository: Repository) -> None:
    group = json.loads(repository.files()["config.json"])["group"]
    edited = json.loads(json.dumps(group).replace('"man"', '"nurse"'))
    assert edited != group
    edit_config(repository, group=edited)
    with pytest.raises(ConfigurationError, match="does not move the words of its group"):
        load()


@pytest.mark.parametrize("side", ["source_map", "target_map"])
def test_a_permutation_of_other_words_on_either_side(hub: LoopbackHub, repository: Repository, side: str) -> None:
    repository = hub.repositories[PAIR]
    sets = json.loads(repository.files()["config.json"])[side]["sets"]
    moved = {token for tokens in sets[0] for token in tokens}
    other = next(token for token in range(4, 9) if token not in moved)
    edit_config(repository, **{side: edited_map(repository, side, 1, other)})
    with pytest.raises(ConfigurationError, match=rf"{side} of {PAIR}(/target_tokenizer)? does not move the words"):
        AutoModelForSeq2SeqLM.from_pretrained(PAIR)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was read",)


@pytest.mark.parametrize("beside", [False, True])
def test_a_pickle_is_never_read(hub: LoopbackHub, repository: Repository, beside: bool) -> None:
    bomb = {"pytorch_model.bin": pickle.dumps(Bomb())}
    repository.replace(bomb if beside else {**bomb, "model.safetensors": None})
    hub.requests.clear()
    if beside:
        load()
    else:
        with pytest.raises(
            ConfigurationError, match="me/equi-lm holds no safetensors, and hf_equi does not load pickle files"
        ):
            load()
    assert not [path for _, path in hub.requests if path.endswith(".bin") or ("/lfs/" in path and not beside)]


def test_the_tokenizer_of_another_model(repository: Repository, tmp_path: Path) -> None:
    other = word_tokenizer("man", "woman", "he", "she", END, PAD)
    other.save_pretrained(tmp_path)
    repository.replace({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    with pytest.raises(
        ConfigurationError, match=r"tokenizer of me/equi-lm is not the one.*would move the wrong words"
    ):
        load()


def test_a_config_of_a_newer_format_gives_a_warning_and_loads(repository: Repository) -> None:
    before = load().state_dict()
    edit_config(repository, format_version=2, hf_equi_version="9.0.0", new_setting="of the future")
    with pytest.warns(HfEquiWarning, match=r"format 2, written by hf_equi 9\.0\.0.*Upgrade: pip install"):
        loaded = load()
    assert all(torch.equal(weight, before[name]) for name, weight in loaded.state_dict().items())


def test_what_a_newer_format_holds_and_this_one_cannot_do_says_both(repository: Repository) -> None:
    edit_config(repository, format_version=2, hf_equi_version="9.0.0", method="magic")
    with pytest.warns(HfEquiWarning, match="Upgrade"), pytest.raises(ConfigurationError, match="'magic'"):
        load()


def test_a_config_from_before_formats_were_counted_is_read_as_it_is(repository: Repository) -> None:
    config = json.loads(repository.files()["config.json"])
    assert config.pop("format_version", 1) == 1
    repository.replace({"config.json": json.dumps(config).encode()})
    assert load().config.format_version == 1
