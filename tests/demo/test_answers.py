"""Questions, checked, and their answers."""

from __future__ import annotations

import pytest
import torch

import hf_equi
from hf_equi.demo.answers import MOST_LETTERS, MOST_TOKENS, Question, answer
from hf_equi.display import plain
from hf_equi.errors import ConfigurationError


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"prompt": " \n"}, "The prompt is empty"),
        ({"prompt": "x" * (MOST_LETTERS + 1)}, "has 10,001 letters: write at most 10,000"),
        ({"prompt": "the {demographics}"}, "did you mean {demographic}"),
        ({"prompt": "x", "tokens": 0}, "tokens=0 is not a number of tokens"),
        ({"prompt": "x", "tokens": MOST_TOKENS + 1}, "201 tokens are too many for this page"),
        ({"prompt": "x", "seed": -1}, "seed=-1 is not a seed"),
        ({"prompt": "x", "seed": 0.5}, "seed=0.5 is not a seed"),
    ],
)
def test_a_bad_question_is_refused_before_anything_runs(asked, problem) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Question(**asked)


def test_one_question_has_one_answer_and_reports_its_tokens(lm) -> None:
    reports: list[float] = []
    first = answer(lm, Question("the man said", tokens=4, seed=3), lambda rows, ends: reports.append(rows))
    other = answer(lm, Question("the man said", tokens=4, seed=4))
    assert first == answer(lm, Question("the man said", tokens=4, seed=3)) != other
    assert sum(reports) == pytest.approx(2 * (1 + 2))
    assert first.equi_gap.largest < 1e-5 < first.base_gap.largest
    assert (first.title, first.notes) == ("EquiLM (equitune)", ())


def test_a_message_is_read_in_its_turns_and_shown_alone(lm) -> None:
    asked = answer(lm, Question("the man said", chat=True, tokens=2, greedy=True))
    assert [plain(member.prompt).strip() for member in asked.members] == ["the man said", "the woman said"]
    assert lm.tokenizer.decode(asked.members[1].tokens).endswith("user : the woman said . and")


def test_the_place_for_a_demographic_gets_the_first_name(lm) -> None:
    asked = answer(lm, Question("the {demographic} said", tokens=1, greedy=True))
    assert [plain(member.prompt).strip() for member in asked.members] == ["the man said", "the woman said"]


def test_a_prompt_that_names_nobody_is_answered_with_a_note(lm) -> None:
    asked = answer(lm, Question("known for", tokens=2))
    assert len(asked.members) == 1
    assert asked.notes == ("nothing moves in 'known for'; hf-equi inspect --text shows why",)


@pytest.mark.parametrize(
    ("method", "even"), [("equitune", True), ("mixture", True), ("canonical", False), ("equizero", False)]
)
def test_what_chance_has_to_do_with_the_texts_is_said_of_each_method(models, method, even) -> None:
    """What is said also holds: texts after one prompt are drawn apart, and those of an orbit are images."""
    equi = models.get("own.json", method)
    nobody = answer(equi, Question("known for", tokens=1))
    assert "Each model writes one text" in nobody.draws
    assert "The two texts differ by chance" in nobody.draws
    assert ("by chance from equally probable counterparts" in nobody.draws) == nobody.even == even
    assert "differ by chance" not in answer(equi, Question("known for", tokens=1, greedy=True)).draws
    if not equi.method.searches:
        scores = equi(input_ids=torch.tensor([nobody.members[0].tokens])).logits[0, -1]
        assert torch.allclose(scores, scores[equi.action.permutations[1]], atol=1e-5) == even

    named = answer(equi, Question("the man said", tokens=6))
    assert "share their random numbers, and differ only in marked words." in named.draws
    words = [[word for word, moved in member.equi[0] if not moved] for member in named.members]
    assert words[0] == words[1]
    assert not answer(equi, Question("the man said", tokens=1, greedy=True)).draws


def test_texts_of_a_model_that_claims_no_symmetry_do_not_differ_in_marked_words_alone(lm) -> None:
    base = hf_equi.symmetrize(lm.unwrap(), lm.group, "identity", tokenizer=lm.tokenizer)
    assert answer(base, Question("the man", tokens=1)).draws.endswith("so they do not differ by chance.")
    assert "need not be as probable" in answer(base, Question("known for", tokens=1)).draws
