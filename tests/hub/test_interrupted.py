"""An upload that breaks off leaves nothing in the repository, or all of it; the next one succeeds."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from hub_models import PROMPTS, equi_lm
from loopback_hub import LoopbackHub
from small_models import tokenizer

from hf_equi import EquiLM
from hf_equi.errors import PublishingError

NAME = "me/equi-lm"
UPLOAD, COMMIT = "PUT /lfs/", "POST /api/models/.*/commit/"


def log_probabilities(lm: EquiLM) -> torch.Tensor:
    with torch.no_grad():
        return lm(**tokenizer()(PROMPTS, return_tensors="pt", padding=True)).logits


@pytest.mark.parametrize("broken", [UPLOAD, COMMIT])
def test_a_new_repository_stays_empty_until_all_is_there(hub: LoopbackHub, broken: str) -> None:
    lm = equi_lm()
    with (
        hub.interrupt(broken),
        pytest.raises(PublishingError, match="new repository exists and is empty") as caught,
    ):
        lm.push_to_hub(NAME)
    assert NAME in str(caught.value)
    assert any(re.match(broken, f"{method} {path}") for method, path in hub.requests), "nothing was interrupted"
    assert hub.repositories[NAME].files() == {}
    with pytest.raises((OSError, ValueError), match=NAME):
        EquiLM.from_pretrained(NAME)
    lm.push_to_hub(NAME)
    again = EquiLM.from_pretrained(NAME)
    assert torch.equal(log_probabilities(again), log_probabilities(lm))


@pytest.mark.parametrize("broken", [UPLOAD, COMMIT])
def test_a_repository_in_use_stays_as_it_was(hub: LoopbackHub, broken: str) -> None:
    lm = equi_lm()
    lm.push_to_hub(NAME)
    before = hub.repositories[NAME].files()
    changed = equi_lm()
    changed.base = copy.deepcopy(lm.base)
    changed.base.lm_head.weight.data.neg_()
    with hub.interrupt(broken), pytest.raises(PublishingError, match="The repository is unchanged"):
        changed.push_to_hub(NAME)
    assert hub.repositories[NAME].files() == before
    changed.push_to_hub(NAME)
    assert hub.repositories[NAME].files()["model.safetensors"] != before["model.safetensors"]


def test_a_commit_whose_answer_is_lost_is_whole_and_not_made_twice(hub: LoopbackHub) -> None:
    lm = equi_lm()
    with hub.interrupt(COMMIT, whole=True), pytest.raises(PublishingError):
        lm.push_to_hub(NAME)
    files, commits = hub.repositories[NAME].files(), len(hub.repositories[NAME].commits)
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= {*files}
    lm.push_to_hub(NAME)
    assert hub.repositories[NAME].files() == files
    assert len(hub.repositories[NAME].commits) == commits
