"""The numbers of an audit, and which are refused."""

from __future__ import annotations

import json
import math
from importlib.metadata import version

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.auditing import Sampling, Statistics
from hf_equi.fairness.auditing.settings import versions


def test_the_defaults_are_those_of_the_published_experiments() -> None:
    assert Sampling(3, seed=7).arguments() == {
        "do_sample": True,
        "num_beams": 1,
        "seed": 7,
        "num_return_sequences": 3,
        "max_new_tokens": 15,
        "temperature": 1.0,
        "top_k": 40,
        "top_p": 1.0,
    }


def test_equal_settings_have_one_description() -> None:
    whole, broken = Sampling(2, temperature=1, top_p=1), Sampling(2, temperature=1.0, top_p=1.0)
    assert json.dumps(whole.describe()) == json.dumps(broken.describe())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, "samples_per_prompt=0 is not a number of texts"),
        ({"samples": 2.0}, r"samples_per_prompt=2\.0"),
        ({"samples": True}, "samples_per_prompt=True"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"top_k": -1}, "top_k=-1 is not a number of tokens: use an int, 0 or more"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**63}, "is too large"),
        ({"temperature": 0.0}, r"temperature=0\.0"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"top_p": 1.5}, r"top_p=1\.5"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Sampling(**{"samples": 1, **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resamples": 0}, "resamples=0"),
        ({"confidence": 1}, "confidence=1"),
        ({"resamples": 19}, r"resamples=19 is too few for confidence=0\.95.*Use 20 or more"),
        ({"confidence": 0.9999}, r"resamples=1000 is too few for confidence=0\.9999.*Use 10000 or more"),
    ],
)
def test_statistics_out_of_range_are_refused(settings, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Statistics(**settings)


def test_versions_are_those_of_what_is_installed() -> None:
    assert versions()["transformers"] == version("transformers")
    assert versions()["hf_equi"] == version("hf_equi")
