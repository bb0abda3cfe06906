import pytest

from hf_equi.errors import GroupError
from hf_equi.groups import EqualityFactor

MAN = ["man", "woman"]


@pytest.mark.parametrize(
    ("equality", "message"),
    [
        ("man", "equality needs a list of sets.*received 'man'"),
        (None, "equality needs a list of sets.*received None"),
        (["man", "woman"], "must be a list of words.*received 'man' as a set"),
        ([], "at least one set"),
        ([[]], r"at least two words.*received \[\]"),
        ([["man"]], r"at least two words.*received \['man'\]"),
        ([["man", ""]], r"Empty word '' in the equality set \['man', ''\]"),
        ([["man", " \t"]], r"Empty word ' \\t'"),
        ([["man", "wo\ud800man"]], r"The word 'wo\\ud800man' .* holds half of a surrogate pair"),
        ([["man", 3]], "Words must be strings; received 3"),
        ([["José", "Jose\u0301"]], "'José' is in the equality sets twice"),
        ([MAN, ["he", "she", "it"]], r"\['man', 'woman'\] has 2 words, \['he', 'she', 'it'\] has 3"),
        (
            [["his", "her"], ["him", " her"]],
            r"'her' is in the equality sets twice.*in \['his', 'her'\] and in \['him', 'her'\].*cannot send one word",
        ),
        ([["man", "man "]], "'man' is in the equality sets twice"),
    ],
)
def test_equality_is_checked(equality, message):
    with pytest.raises(GroupError, match=message):
        EqualityFactor.from_lists(equality)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"neutral": [], "general": []}, "neutral= or general=, not both"),
        ({"neutral": "the"}, "neutral needs a list of words; received 'the'"),
        ({"general": "the"}, "general needs a list of words; received 'the'"),
        ({"neutral": ["the", " "]}, "Empty word ' ' in neutral"),
        ({"neutral": ["the", "Woman"]}, r"'Woman' is listed as neutral, but 'Woman' is a form of.*\['man', 'woman'\]"),
        ({"general": ["man"]}, "'man' is listed as general"),
        ({"names": ["a"]}, r"names needs 2 names, one for each place of \['man', 'woman'\]"),
        ({"names": ["a", "a "]}, "names must be distinct"),
        ({"names": "ab"}, "names needs a list"),
    ],
)
def test_lists_are_checked(lists, message):
    with pytest.raises(GroupError, match=message):
        EqualityFactor.from_lists([MAN], **lists)


def test_words_are_composed():
    factor = EqualityFactor.from_lists([["Jose\u0301", "Maria"]], general=["cafe\u0301"])
    assert (factor.sets, factor.general, factor.names) == ((("José", "Maria"),), ("café",), ("José", "Maria"))
    assert [factor.role(word) for word in ("Jose\u0301", "CAFE\u0301", "maria")] == ["equality", "general", "equality"]


def test_words_are_stripped_and_lists_lose_repetitions():
    factor = EqualityFactor.from_lists([[" man", "woman "]], neutral=["the", " the"], names=["male ", "female"])
    assert factor == EqualityFactor(sets=(("man", "woman"),), neutral=("the",), general=None, names=("male", "female"))
    assert factor.size == 2


@pytest.mark.parametrize(
    ("lists", "roles"),
    [
        ({}, ["equality", "neutral", "neutral"]),
        ({"neutral": ["the"]}, ["equality", "neutral", "general"]),
        ({"neutral": []}, ["equality", "general", "general"]),
        ({"general": ["the"]}, ["equality", "general", "neutral"]),
        ({"general": []}, ["equality", "neutral", "neutral"]),
    ],
)
def test_roles(lists, roles):
    factor = EqualityFactor.from_lists([MAN], **lists)
    assert [factor.role(word) for word in ("WOMAN", "The", "doctor")] == roles


def test_a_spelling_that_is_left_out_stays_with_its_images_alone():
    factor = EqualityFactor.from_lists([["king", "queen"], ["kings", "queens"]], leave_out=["Queen"])
    assert [factor.role(word) for word in ("King", "Queen", "king", "QUEEN", "Kings")] == [
        "neutral",
        "neutral",
        *["equality"] * 3,
    ]
    assert EqualityFactor.from_lists(**factor.to_dict()) == factor
    assert "leave_out" not in EqualityFactor.from_lists([MAN]).to_dict()


@pytest.mark.parametrize(
    ("leave_out", "message"),
    [
        ("Man", "leave_out needs a list of words; received 'Man'"),
        (["man"], r"leave_out has 'man', which is in the equality set \['man', 'woman'\] as written.*Remove the set"),
        (["Mann"], "leave_out has 'Mann', which no equality set has as a derived spelling: did you mean 'M"),
        (["mAn"], "leave_out has 'mAn'"),
    ],
)
def test_only_derived_spellings_are_left_out(leave_out, message):
    with pytest.raises(GroupError, match=message):
        EqualityFactor.from_lists([MAN], leave_out=leave_out)
