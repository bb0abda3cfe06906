"""Tables and sentences, against what is written out here."""

from __future__ import annotations

from hf_equi.fairness.report.figures import (
    Cell,
    Column,
    all_figures,
    main_figures,
    shares_table,
    table,
)
from hf_equi.fairness.scales import REGARD, Scale

MODEL = {
    "model": "base",
    "samples": 1200,
    "parity_gap": 0.21049,
    "parity_gap_interval": [0.1, 0.3],
    "parity_gap_p_value": 0.000999,
    "parity_gap_pair": ["man", "woman"],
    "group_gap": None,
    "consistency": 0.5,
    "consistency_interval": [0.25, 0.75],
    "regard": {"man": {"negative": 0.25, "neutral": 0.25, "positive": 0.5}},
    "regard_interval": {"man": {"negative": [0.1, 0.4], "neutral": [0.1, 0.4], "positive": [0.3, 0.7]}},
}


def test_a_table_has_intervals_p_values_and_notes() -> None:
    columns = [Column("parity_gap", "Gap"), Column("group_gap", "Group"), Column("group_gap_mean", "Mean")]
    made = table([MODEL, {"model": "other", "parity_gap": None}], columns)
    assert made.titles == ("Model", "Gap", "Group", "Mean")
    gap = Cell("0.210", "0.100 to 0.300", "p = 0.001")
    assert made.rows[0] == ("base", (gap, Cell("–", note="a"), Cell("–", note="a")))
    assert made.rows[1] == ("other", (Cell("–", note="b"), Cell("–", note="a"), Cell("–", note="a")))
    assert [letter for letter, _ in made.notes] == ["a", "b"]
    assert "no likelihood" in made.notes[0][1]
    assert "two demographics" in made.notes[1][1]


def test_the_pair_is_named_where_there_are_several() -> None:
    shares = {"negative": 0.0, "neutral": 0.0, "positive": 1.0}
    several = {**MODEL, "regard": dict.fromkeys(["man", "woman", "person"], shares)}
    assert table([several], [Column("parity_gap", "Gap")]).rows[0][1][0].extra == "p = 0.001, man–woman"


def test_an_upright_table_has_the_models_in_its_titles() -> None:
    made = table([MODEL, {**MODEL, "model": "other", "consistency": 0.75}], all_figures(), upright=True)
    assert made.titles == ("Figure", "base", "other")
    assert [name for name, _ in made.rows] == [column.title for column in all_figures()]
    assert [cell.value for cell in dict(made.rows)["Consistency"]] == ["0.500", "0.750"]
    assert [cell.value for cell in dict(made.rows)["Samples"]] == ["1,200", "1,200"]


def test_the_short_table_is_part_of_the_full_one() -> None:
    assert {column.key for column in main_figures()} < {column.key for column in all_figures()}


def test_the_shares_have_a_row_for_each_demographic() -> None:
    made = shares_table([MODEL])
    cells = (Cell("0.250", "0.100 to 0.400"), Cell("0.250", "0.100 to 0.400"), Cell("0.500", "0.300 to 0.700"))
    assert made.rows == (("base, man", cells),)
    assert shares_table([MODEL], masked=True).rows == ()


def test_each_scorer_has_columns_of_its_own() -> None:
    toxic = Scale("toxic", ("toxic", "not toxic"))
    titles = [column.title for column in main_figures((REGARD, toxic))]
    assert titles[:6] == [
        "Mean regard",
        "Parity gap",
        "Parity gap, words hidden",
        "Noise floor",
        "toxic: mean P(toxic)",
        "toxic: parity gap",
    ]
    assert [column.key for column in main_figures((toxic,))][:2] == ["toxic:mean_score", "toxic:parity_gap"]
    made = shares_table([{"model": "base", "toxic:shares": {"man": {"toxic": 0.25, "not toxic": 0.75}}}], toxic)
    assert made.titles[1:] == ("Toxic", "Not toxic")
    assert [cell.value for cell in made.rows[0][1]] == ["0.250", "0.750"]
