"""What is said about words that stay."""

from __future__ import annotations

import re
import warnings

import pytest
from small_models import tokenizer
from token_writers import bytes_tokenizer

from hf_equi import DemographicGroup
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.errors import ActionError, GroupWarning
from hf_equi.groups import occupations

GENDER = DemographicGroup.preset("gender")
OWN = DemographicGroup([["waiter", "waitress"], ["man", "woman"]])


def said(group, tokens=None, **settings):
    """The warnings about a group, by default with a small tokenizer."""
    with warnings.catch_warnings(record=True, action="always") as caught:
        resolve_tokens(group, tokens or tokenizer(), **settings)
    assert all(one.category is GroupWarning for one in caught)
    return [one.message for one in caught]


def test_one_short_line_names_a_few_words_and_the_command_and_holds_all() -> None:
    """The words of a preset stay by default: whoever names a preset does not know which words it has."""
    (warning,) = said(GENDER)
    message = (
        r"(\d+) of 130 words of gender stay as they are with this tokenizer \(they or a counterpart are not single "
        r"tokens\): (\w+/\w+, ){2}\w+/\w+ and (\d+) more sets\. To list them: hf-equi inspect --group gender "
        r"--multi-token skip --all"
    )
    found = re.fullmatch(message, str(warning))
    assert len(warning.words) == int(found[1]) == 2 * (int(found[3]) + 3)
    assert {"grandson", "granddaughter"} <= {*warning.words}


@pytest.mark.parametrize(
    ("group", "named"),
    [
        (GENDER * DemographicGroup.preset("race", ["White", "Black"]), "'gender*race:White,Black'"),
        (OWN, "WORDS"),
    ],
)
def test_the_command_names_the_group_and_the_model(group, named) -> None:
    tokens = tokenizer()
    tokens.name_or_path = "my models/x"
    assert f"hf-equi inspect --group {named} --model 'my models/x' --multi-token skip --all" in str(
        said(group, tokens, multi_token="skip")[0]
    )


def test_words_of_ones_own_are_refused_unless_asked_and_those_of_presets_only_if_asked() -> None:
    with pytest.raises(ActionError, match=r"of each set: waiter/waitress\. Pass .* multi_token=\"skip\""):
        resolve_tokens(OWN, tokenizer())
    both = DemographicGroup([["waiter", "waitress"]]) * DemographicGroup.preset("age")
    with pytest.raises(ActionError, match=r"of each set: waiter/waitress\. Pass"):
        resolve_tokens(both, tokenizer())
    assert "waitress" in said(both, multi_token="skip")[0].words
    with pytest.raises(ActionError, match="grandson/granddaughter; "):
        resolve_tokens(GENDER, tokenizer(), multi_token="error")


def test_a_preset_with_fewer_elements_is_named_as_on_the_command_line() -> None:
    tokens = bytes_tokenizer("Black White Asian ĠBlack ĠWhite ĠAsian Ġblack Ġwhite ĠBlacks ĠWhites ĠAsians")
    (warning,) = said(DemographicGroup.preset("race"), tokens)
    assert " More of them move with fewer elements: race:Black,White. " in str(warning)


def test_neutral_words_without_a_token_are_said_to_count_as_general() -> None:
    """The list of occupations comes with the library, as presets do. A search treats these words like any other."""
    relaxed = DemographicGroup.preset("age", ["young", "old"], relaxed=True)
    count = len(occupations())
    lines = [str(one) for one in said(relaxed)]
    assert re.match(rf"\d+ of {count} neutral words are not single tokens, so they count as general and ", lines[-1])
    assert [str(one) for one in said(relaxed, relaxes=False)] == lines[:-1]
    own = DemographicGroup([["man", "woman"]], neutral=["nurse", "stepfather"])
    with pytest.raises(ActionError, match=r"neutral words are not single tokens, .*: stepfather\. Leave"):
        resolve_tokens(own, tokenizer())
