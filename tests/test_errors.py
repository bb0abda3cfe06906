"""The exceptions: one base, and a `ValueError` each, so that callers need no import of ours."""

from __future__ import annotations

import traceback
import warnings

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


EVIL = "what\x1b]0;x\x07\u202ewas\ndone"
SHOWN = "what\\x1b]0;x\\x07\\u202ewas\ndone"


@pytest.mark.parametrize("name", errors.__all__[:-1])
def test_a_message_acts_on_no_terminal(name: str) -> None:
    """Neither where Python prints an error nor where it prints a warning; what is written out stays as it is."""
    kind = getattr(errors, name)
    assert str(kind(EVIL)) == str(kind(SHOWN)) == SHOWN
    assert traceback.format_exception_only(kind(EVIL)) == [f"hf_equi.errors.{name}: {SHOWN}\n"]


def test_a_warning_is_printed_so_too() -> None:
    with pytest.warns(GroupWarning) as caught:
        errors.warn(EVIL, GroupWarning)
    assert SHOWN in warnings.formatwarning(caught[0].message, caught[0].category, __file__, 1, "")
