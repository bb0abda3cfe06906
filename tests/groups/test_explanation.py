from hf_equi.groups import DemographicGroup

GROUP = DemographicGroup([["man", "woman"], ["he", "she"]])


def test_words_are_listed_once_with_their_images():
    explanation = GROUP.explain("The Man and the Man; HE")
    assert [(move.word, move.images, move.row.explicit) for move in explanation.moves] == [
        ("Man", ("Man", "Woman"), False),
        ("HE", ("HE", "SHE"), False),
    ]
    assert explanation.untouched == explanation.general == ()
    assert str(explanation).splitlines()[1:] == [
        "moves:",
        "  'Man' becomes 'Woman': [man, woman], a change of case",
        "  'HE' becomes 'SHE': [he, she], a change of case",
    ]


def test_images_start_at_the_word_itself():
    move = DemographicGroup([["Black", "White", "Asian"]]).explain("Asian").moves[0]
    assert move.images == ("Asian", "Black", "White")


def test_untouched_words_give_their_reason():
    explanation = GROUP.explain("sHe is human")
    assert explanation.untouched == (
        ("sHe", "spelled in none of the forms of [he, she], which are 'she', 'She', 'SHE'"),
    )
    assert "moves: nothing" in str(explanation)
    assert "stays, though" in str(explanation)


def test_general_words_and_phrases_of_a_relaxed_group():
    group = DemographicGroup([["man", "woman"]], neutral=["at work", "the"])
    explanation = group.explain("The man sings At work")
    assert explanation.general == ("sings",)
    assert str(explanation).endswith("general, so no symmetry is claimed of it: 'sings'")
    assert DemographicGroup([["man", "woman"]]).explain("sings").general == ()


def test_what_others_wrote_does_not_act_where_it_is_printed():
    group = DemographicGroup([["man\x1b[2J", "woman\u202e"]])
    found = group.explain("a man\x1b[2J\u202e\n")
    assert len(str(found).splitlines()) > 1
    for text in (str(found), str(found.moves), repr(group)):
        assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_a_spelling_that_is_left_out_is_not_called_one_of_the_forms():
    found = DemographicGroup([["king", "queen"]], leave_out=["King"]).explain("Martin Luther King and a king")
    assert [move.word for move in found.moves] == ["king"]
    assert found.untouched == (("King", "the group leaves this spelling out"),)
