"""Checks of single settings, and what they say."""

from __future__ import annotations

import math
import re

import numpy
import pytest

from hf_equi.checks import (
    check_between,
    check_choice,
    check_count,
    check_seed,
    check_share,
    check_token_ids,
    check_weight,
    nearest,
)
from hf_equi.errors import ActionError, ConfigurationError, GroupError


@pytest.mark.parametrize(
    ("bounds", "inside", "said"),
    [
        ((), [1e-9, 1, 1e30, 10**400, numpy.float32(2)], "above 0"),
        ((1,), [0.5, 1e-9, 1 - 1e-9], "above 0 and below 1"),
    ],
)
def test_numbers_between_two_are_told_from_others(bounds, inside, said):
    for value in inside:
        check_between("rate", value, *bounds)
    for value in (0, 0.0, -1, *(1 for _ in bounds), math.inf, math.nan, True, "0.5", None, [0.5]):
        with pytest.raises(
            ConfigurationError, match=f"^{re.escape(f'rate={value!r} is out of range: use a number {said}')}$"
        ):
            check_between("rate", value, *bounds)


def test_the_upper_number_may_be_reached_where_that_is_said():
    check_between("share", 1, 1, closed=True)
    with pytest.raises(ConfigurationError, match=r"share=1.5 is out of range: use a number above 0 and at most 1$"):
        check_between("share", 1.5, 1, closed=True)


@pytest.mark.parametrize("value", ["a", "b", None])
def test_what_is_known_passes(value):
    check_choice("letter", value, ("a", "b", None))


@pytest.mark.parametrize("value", ["c", None, 1, ["a"], {"a": "b"}, {"a"}, ""])
@pytest.mark.parametrize("known", [("a", "b"), ["a", "b"], {"a": 1, "b": 2}, {"a": 1, "b": 2}.keys()])
def test_what_is_not_known_is_refused_with_what_is(value, known):
    message = f"letter={value!r} is not known: use one of 'a', 'b'."
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        check_choice("letter", value, known)


def test_a_misspelt_name_is_asked_about_first():
    message = "method='EquiTunee' is not known to the test: did you mean 'equitune'? Use one of 'mixture', 'equitune'."
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        check_choice("method", "EquiTunee", ("mixture", "equitune"), " to the test")
    assert nearest("whte", ["Black", "White", None]) == "White"
    assert nearest("magic", ["Black"]) == nearest(["Black"], ["Black"]) == ""


def test_an_array_is_not_among_choices():
    with pytest.raises(ConfigurationError, match="is not known: use one of 'a', 'b'"):
        check_choice("letter", numpy.array(["a", "b"]), ("a", "b"))


def test_the_error_is_the_one_asked_for():
    with pytest.raises(ActionError, match="letter='c' is not known to the alphabet: use one of 'a'"):
        check_choice("letter", "c", ("a",), " to the alphabet", error=ActionError)
    with pytest.raises(GroupError, match="n=0 is not a size: use an int, 1 or more"):
        check_count("n", 0, "size", error=GroupError)


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1", None, [1], float("nan")])
def test_what_counts_nothing_is_refused(value):
    message = f"steps={value!r} is not a number of steps: use an int, 1 or more, or None for all"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        check_count("steps", value, "number of steps", ", or None for all")


def test_counts_pass_from_the_least_on():
    check_count("steps", 1, "number of steps")
    check_count("steps", 10**30, "number of steps")
    check_count("steps", 0, "number of steps", least=0)
    with pytest.raises(ConfigurationError, match=r"steps=-1 is not a number of steps: use an int, 0 or more$"):
        check_count("steps", -1, "number of steps", least=0)


@pytest.mark.parametrize("value", [0, 1, 0.0, 0.5, 1.0])
def test_shares_pass(value):
    check_share("dropout", value)


@pytest.mark.parametrize("value", [-0.1, 1.1, 2, True, "0.5", None, [0.5], float("nan"), float("inf")])
def test_what_is_not_a_share_is_refused(value):
    message = f"dropout={value!r} is not a share: use a number from 0 to 1"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        check_share("dropout", value)


@pytest.mark.parametrize("seed", [None, 0, 7, 2**63 - 1, numpy.int64(7), numpy.uint8(1)])
def test_seeds_pass(seed):
    check_seed(seed)


@pytest.mark.parametrize(
    "seed",
    [
        1.5,
        True,
        "one",
        [1],
        -1,
        -(2**63),
        2**63,
        2**64,
        float("nan"),
        numpy.bool_(True),
        numpy.float64(1),
        numpy.int8(-1),
    ],
)
def test_what_is_not_a_seed_is_refused(seed):
    message = f"seed={seed!r} is not a seed: use a whole number from 0 to 2**63 - 1"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        check_seed(seed)


@pytest.mark.parametrize("value", [None, 0, -1, 5, [], [2, 3]])
def test_ids_of_tokens_pass(value):
    check_token_ids("eos_token_id", value)


@pytest.mark.parametrize("value", ["2", 2.0, True, [2, "3"], [None], {"a": 1}, 10**30])
def test_what_names_no_token_is_refused(value):
    with pytest.raises(ConfigurationError, match="does not name tokens: use an int, a list of them, or None"):
        check_token_ids("eos_token_id", value)


def test_weights_are_finite_numbers_from_0_on():
    for value in (0, 0.0, 1, 2.5, 1e6):
        check_weight("prior_weight", value)
    for value in (-1, -0.5, float("nan"), float("inf"), True, "1", None):
        with pytest.raises(ConfigurationError, match=r"prior_weight=.* is not a weight: use a number, 0 or more"):
            check_weight("prior_weight", value)
