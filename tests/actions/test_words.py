import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_equi.actions.words import WordAction
from hf_equi.errors import ActionError
from hf_equi.groups import DemographicGroup, preset_names
from hf_equi.groups.forms import composed
from hf_equi.testing import assert_action

GENDER = DemographicGroup([["man", "woman"], ["he", "she"], ["young lad", "young lass"]])
RACE = DemographicGroup([["Black", "White", "Asian"]])
ACTION = WordAction(GENDER * RACE)
WORDS = [word for row in ACTION.group.forms() for word in row.words]
pieces = st.sampled_from([*WORDS, " ", "  ", "\n", ", ", "'s", "-", "3", "_", "human", "young", "The", "é", "̃", "²"])
texts = st.one_of(st.lists(pieces, max_size=12).map("".join), st.lists(pieces, max_size=12).map(" ".join))


@settings(max_examples=60, deadline=None)
@given(texts)
def test_it_is_an_action(text):
    whole = composed(text)
    assert_action(ACTION, [whole])
    orbit = ACTION.orbit(text)
    assert orbit == ACTION.orbit(whole)
    assert orbit[0] == whole
    assert ACTION.moves(text) == (len(set(orbit)) > 1)


@pytest.mark.parametrize("name", preset_names())
def test_presets_act(name):
    action = WordAction(DemographicGroup.preset(name))
    assert_action(action, [" ".join(row.words) for row in action.group.forms()])


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("The man said he left.", "The woman said she left."),
        ("MAN Man man mAn", "WOMAN Woman woman mAn"),
        ("The man's dog; man-made, man2, (man)_man!", "The woman's dog; woman-made, woman2, (woman)_woman!"),
        ("human manly Romanman", "human manly Romanman"),
        ("A Young lad, a young  lad", "A Young lass, a young  lad"),
        ("mañana señor", "mañana señor"),
        ("mañana man²", "mañana woman²"),
        ("A Young Lad", "A Young Lass"),
        ("", ""),
    ],
)
def test_whole_words_in_their_case(text, image):
    action = WordAction(GENDER)
    assert action.apply(1, text) == image
    assert action.invert(1, image) == text
    assert action.orbit(text) == [text, image]
    assert action.moves(text) == (text != image)


def test_decomposed_texts_and_lists_act_as_composed_ones():
    plain, apart = "José met María", "Jose\u0301 met Mari\u0301a"
    for sets in ([["José", "María"]], [["Jose\u0301", "Mari\u0301a"]]):
        action = WordAction(DemographicGroup(sets))
        assert action.apply(1, apart) == action.apply(1, plain) == "María met José"
        assert action.invert(1, "Mari\u0301a") == "José"
        assert action.moves(apart)
        # The image is measured in the composed text, whatever the boundary was given in.
        assert action.apply(1, apart, len("Jose\u0301")) == "María met José"
        assert torch.equal(action.keys([apart]), action.keys([plain]))


def test_products_move_both_factors():
    g = ACTION.group.element("woman Asian")
    assert ACTION.apply(g, "A white man, a BLACK woman") == "A black woman, a ASIAN man"
    assert ACTION.invert(g, "A black woman, a ASIAN man") == "A white man, a BLACK woman"


@pytest.mark.parametrize(
    ("equality", "message"),
    [
        ([["girlfriend", "boyfriend"], ["ex-girlfriend", "ex-boyfriend"]], "'girlfriend' is contained in 'ex-girl"),
        ([["man", "woman"], ["man of war", "ship"]], "'man' is contained in 'man of war'"),
        ([["new man", "x"], ["man alive", "y"]], "'new man' ends with 'man', with which 'man alive' begins"),
        ([["new old man", "x"], ["old man alive", "y"]], "'new old man' ends with 'old man'"),
        ([["bon bon", "x"]], "'bon bon' ends with 'bon', with which 'bon bon' begins"),
        ([["Mr.", "Mrs."]], r"'Mr\.' must begin and end with a letter"),
        ([["70s", "80s"]], "'70s' must begin and end with a letter"),
        ([["1", "2"]], "'1' must begin and end with a letter"),
    ],
)
def test_actions_that_cannot_be_undone_raise(equality, message):
    with pytest.raises(ActionError, match=message):
        WordAction(DemographicGroup(equality))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(" ".join), min_size=2, unique=True),
    st.lists(st.sampled_from(["a", "b", "c", "d", ","]), max_size=8).map(" ".join),
)
def test_whatever_is_accepted_can_be_undone(words, text):
    try:
        action = WordAction(DemographicGroup([words[:4], words[4:8]] if len(words) >= 8 else [words]))
    except ActionError:
        return
    assert_action(action, [text])


def test_only_elements_and_strings_are_accepted():
    with pytest.raises(ActionError, match="No element 9"):
        ACTION.apply(9, "man")
    for call in (lambda: ACTION.apply(0, ["man", 1]), lambda: ACTION.apply(0, ("man",)), lambda: ACTION.moves(None)):
        with pytest.raises(ActionError, match="acts on a string or a list of strings; received"):
            call()


@settings(max_examples=60, deadline=None)
@given(texts, texts, st.integers(0, ACTION.group.order - 1), st.integers(0, ACTION.group.order - 1))
def test_texts_move_on_both_sides_of_a_boundary(prompt, said, g, h):
    """The part before the boundary moves as if it stood alone, and the whole is an action with moving boundaries."""
    prompt, said = composed(prompt), composed(said)
    text, start = prompt + said, len(prompt)
    image = ACTION.apply(g, text, start)
    moved = ACTION.apply(g, prompt)
    assert image.startswith(moved)
    assert ACTION.invert(g, image, len(moved)) == text
    both = int(ACTION.group.product[h, g])
    assert ACTION.apply(h, image, len(moved)) == ACTION.apply(both, text, start)


@pytest.mark.parametrize(
    ("prompt", "said", "image"),
    [
        ("the wo", "man and a man", "the woman and a woman"),
        ("the man", "kind", "the womankind"),
        ("the man", " and he", "the woman and she"),
        ("a young", " lad he", "a young lad she"),
        ("", "man", "woman"),
        ("man", "", "woman"),
    ],
)
def test_boundaries(prompt, said, image):
    assert WordAction(GENDER).apply(1, prompt + said, len(prompt)) == image


def test_canonical_element_takes_a_text_to_the_smallest_of_its_orbit():
    for text in ("a woman", "a man", "an asian", "The White woman", "nobody", ""):
        orbit = ACTION.orbit(text)
        element = ACTION.canonical_element(text)
        assert orbit[element] == min(orbit)
        assert min(orbit) not in orbit[:element]
        assert len({ACTION.apply(ACTION.canonical_element(member), member) for member in orbit}) == 1
