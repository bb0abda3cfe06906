from __future__ import annotations

import pytest
import torch

from hf_equi.bases.reading import reading
from hf_equi.errors import ActionError, ConfigurationError


def within(error: BaseException) -> None:
    with reading("The file a/b.json", "Write it again."):
        raise error


@pytest.mark.parametrize("error", [KeyError("key"), RecursionError("too deep"), Exception("expected `,`")])
def test_an_error_of_a_library_names_the_file_and_says_what_to_do(error):
    message = rf"^The file a/b\.json cannot be read \({type(error).__name__}: .*\)\. Write it again\.$"
    with pytest.raises(ConfigurationError, match=message) as caught:
        within(error)
    assert caught.value.__cause__ is error


def test_our_own_errors_keep_their_class_and_name_the_file_once():
    with pytest.raises(ActionError, match=r"^The file a/b\.json: no permutation$"):
        within(ActionError("no permutation"))
    with pytest.raises(ActionError, match=r"^a/b\.json is empty$"):
        within(ActionError("a/b.json is empty"))


@pytest.mark.parametrize(
    "error",
    [
        OSError("no such file"),
        ImportError("sentencepiece"),
        MemoryError(),
        torch.OutOfMemoryError(),
        TypeError("load() got an unexpected keyword argument 'colour'"),
        KeyboardInterrupt(),
    ],
)
def test_what_is_not_due_to_the_file_passes(error):
    with pytest.raises(type(error)) as caught:
        within(error)
    assert caught.value is error
