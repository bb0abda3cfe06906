"""A tiny model with a chat template, symmetrised."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from small_models import GENDER, base_model, tokenizer

import hf_equi
from hf_equi.cli.groups import parse_group
from hf_equi.demo.models import Models

TEMPLATE = (
    "{{ bos_token }}{% for turn in messages %} {{ turn.role }} : {{ turn.content }} .{% endfor %}"
    "{% if add_generation_prompt %} and{% endif %}"
)


@pytest.fixture(scope="session")
def chat() -> Any:
    """The small tokenizer, with a template."""
    own = copy.deepcopy(tokenizer())
    own.chat_template = TEMPLATE
    return own


@pytest.fixture(scope="session")
def lm(chat: Any) -> hf_equi.EquiLM:
    return hf_equi.symmetrize(base_model(), GENDER, tokenizer=chat)


@pytest.fixture
def models(lm: hf_equi.EquiLM) -> Models:
    return Models(lm, "own.json", parse_group, lambda: hf_equi.RegardScorer("demo"))
