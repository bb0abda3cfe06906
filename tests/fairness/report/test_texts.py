"""Samples sorted by template, model and number, and cut into pieces."""

from __future__ import annotations

from typing import Any

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.report.texts import Coupled, Piece, Score, template_texts, text_columns
from hf_equi.fairness.scales import REGARD

SCORES = {"negative": 0.5, "positive": 0.25, "label": "negative"}
MASKED = {"masked_negative": 0.125, "masked_positive": 0.75, "masked_label": "positive"}


def row(**changes: Any) -> dict[str, Any]:
    key = {"model": "base", "demographic": "man", "template": "The {demographic}", "sample": 0}
    said = {"prompt": "The man", "text": "The man and a woman", "gap": 0.5, "consistent": True}
    made = key | said | SCORES | MASKED | changes
    assert set(made) == set(text_columns([REGARD]))
    return made


def moved(text: str) -> list[tuple[str, bool]]:
    words = text.replace(" ", "| |").split("|")
    return [(word, word in {"man", "woman"}) for word in words]


def only(rows: list[dict[str, Any]]) -> Coupled:
    ((template,),) = (template_texts(rows, ["base"], moved),)
    ((coupled,),) = (template.models[0].coupled,)
    return coupled


def test_coupled_texts_are_side_by_side_in_the_order_of_the_demographics() -> None:
    rows = [row(), row(demographic="woman"), row(demographic="woman", sample=1), row(sample=1)]
    (template,) = template_texts(rows, ["base"])
    sides = [[text.demographic for text in coupled.texts] for coupled in template.models[0].coupled]
    assert sides == [["man", "woman"], ["man", "woman"]]
    assert [coupled.sample for coupled in template.models[0].coupled] == [0, 1]


def test_models_keep_the_order_that_is_given() -> None:
    rows = [row(model=model) for model in ("extra", "base", "EquiLM")]
    (template,) = template_texts(rows, ["EquiLM", "absent", "base"])
    assert [texts.model for texts in template.models] == ["EquiLM", "base", "extra"]


def test_templates_keep_the_order_of_the_samples() -> None:
    found = template_texts([row(template="b"), row(template="a"), row(template="b", sample=1)], ["base"])
    assert [template.template for template in found] == ["b", "a"]
    assert [len(template.models[0].coupled) for template in found] == [2, 1]


def test_a_text_has_its_own_scores_and_gap() -> None:
    (text,) = only([row()]).texts
    assert (text.scores, text.gap) == (
        (("", Score("negative", "negative", -0.25), Score("positive", "positive", 0.625)),),
        0.5,
    )


def test_moved_words_and_the_prompt_are_told_apart() -> None:
    (text,) = only([row()]).texts
    assert text.pieces[:3] == (Piece("The", False, True), Piece(" ", False, True), Piece("man", True, True))
    assert text.pieces[-1] == Piece("woman", True, False)
    assert "".join(piece.text for piece in text.pieces) == "The man and a woman"


def test_a_piece_across_the_end_of_the_prompt_is_cut_there() -> None:
    (template,) = template_texts([row()], ["base"])  # without moved(), the text is one piece
    (text,) = template.models[0].coupled[0].texts
    assert text.pieces == (Piece("The man", False, True), Piece(" and a woman", False, False))


def test_a_text_that_does_not_start_with_its_prompt_has_none() -> None:
    (text,) = only([row(prompt="A man")]).texts
    assert not any(piece.prompt for piece in text.pieces)


@pytest.mark.parametrize(
    ("flags", "expected"), [((True, True), True), ((True, False), False), ((None, True), None), ((None, None), None)]
)
def test_coupled_texts_are_consistent_if_all_are(
    flags: tuple[bool | None, bool | None], expected: bool | None
) -> None:
    rows = [row(consistent=flags[0]), row(demographic="woman", consistent=flags[1])]
    assert only(rows).consistent is expected


def test_two_samples_with_one_number_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"'base'.*'man' have the number 0.*its own number"):
        template_texts([row(), row()], ["base"])


def test_pieces_that_lose_letters_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match="pieces that make it up"):
        template_texts([row()], ["base"], lambda text: [(text.strip("T"), False)])
