"""What the tasks of text have in common."""

from __future__ import annotations

import pytest
from small_models import GENDER, tokenizer

from hf_equi import FiniteGroup
from hf_equi.errors import ConfigurationError
from hf_equi.registration import tasks

TEXT = [tasks()["causal_lm"], tasks()["seq2seq"]]


@pytest.fixture(params=TEXT, ids=lambda task: task.name)
def task(request):
    return request.param


def test_words_act_and_nothing_else(task):
    task.check_group(GENDER)
    with pytest.raises(ConfigurationError, match=r"of the class DemographicGroup, not FiniteGroup\. Make one: hf"):
        task.check_group(FiniteGroup.cyclic(2))


def test_the_tokenizer_is_the_one_given_or_the_one_beside_the_weights(task, tmp_path):
    given = tokenizer()
    assert task.prepare(None, {"tokenizer": given}, {}) is given
    given.save_pretrained(tmp_path)
    assert task.prepare(str(tmp_path), {}, {}).get_vocab() == given.get_vocab()
    assert task.prepare(str(tmp_path), {"tokenizer": given}, {}) is given


def test_what_is_no_tokenizer_is_refused(task):
    with pytest.raises(ConfigurationError, match="needs its tokenizer: symmetrize"):
        task.prepare(None, {}, {})
    for settings in ({"tokenizer": len}, {"tokenizer": tokenizer(), "target_tokenizer": len}):
        with pytest.raises(ConfigurationError, match="is not a tokenizer of transformers"):
            task.prepare(None, settings, {})
