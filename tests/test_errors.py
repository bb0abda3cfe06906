"""The exceptions: one base, and a `ValueError` each, so that callers need no import of ours."""

from __future__ import annotations

import pytest

from hf_equi import errors
from hf_equi.errors import GroupWarning, HfEquiError, HfEquiWarning


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_every_error_is_ours_and_a_value_error(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, HfEquiError)
    with pytest.raises(ValueError, match="what was received"):
        raise error("what was required, what was received, what to do")


def test_warnings_can_be_turned_into_errors_by_their_class() -> None:
    assert issubclass(HfEquiWarning, UserWarning)
    assert issubclass(GroupWarning, HfEquiWarning)


def test_a_warning_names_the_line_that_called_the_library() -> None:
    with pytest.warns(GroupWarning, match="what stays") as caught:
        errors.warn("what stays", GroupWarning)
    assert caught[0].filename == __file__
