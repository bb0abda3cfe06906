"""The options of decoding."""

from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.decoding import Decoding


def test_sampling_is_the_published_decoding_by_default() -> None:
    settings = Decoding(samples=3).settings()
    assert settings["do_sample"]
    assert (settings["top_k"], settings["top_p"], settings["temperature"]) == (40, 1.0, 1.0)
    assert settings["num_return_sequences"] == 3


def test_options_are_passed_on() -> None:
    settings = Decoding(temperature=0.5, top_k=0, top_p=0.9, max_new_tokens=7).settings()
    assert (settings["temperature"], settings["top_k"], settings["top_p"], settings["max_new_tokens"]) == (
        0.5,
        0,
        0.9,
        7,
    )


@pytest.mark.parametrize(("options", "beams"), [({"greedy": True}, 1), ({"beams": 4, "samples": 2}, 4)])
def test_without_sampling_nothing_of_it_is_passed_on(options, beams) -> None:
    settings = Decoding(**options).settings()
    assert not settings["do_sample"]
    assert settings["num_beams"] == beams
    assert "top_k" not in settings


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"temperature": 0.0}, r"--temperature must be a number from 1e-06 up, not 0\.0"),
        ({"temperature": 1e-320}, "--temperature must be a number"),
        ({"temperature": float("nan")}, "--temperature must be a number"),
        ({"top_p": 0.0}, "--top-p is a probability"),
        ({"greedy": True, "beams": 2}, "--greedy and --beams cannot be used together"),
        ({"greedy": True, "samples": 2}, "-n 2 is more than the 1 that --greedy gives"),
        ({"beams": 2, "samples": 3}, "-n 3 is more than the 2 that --beams 2 gives"),
        ({"beams": 2, "top_k": 5, "top_p": 0.5}, "--top-k and --top-p would have no effect with --beams 2"),
    ],
)
def test_contradictions_are_refused(options, problem) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Decoding(**options)
