"""The names of what functions take."""

from __future__ import annotations

from functools import wraps

from hf_equi.bases.signatures import parameters


def test_parameters_are_those_of_the_function_that_is_wrapped():
    def inner(text, *rest, seed=0):
        return text, rest, seed

    @wraps(inner)
    def outer(*args, **kwargs):
        return inner(*args, **kwargs)

    assert parameters(inner) == parameters(outer) == {"text", "rest", "seed"}
