"""Questions, checked, and their answers."""

from __future__ import annotations

import pytest

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
