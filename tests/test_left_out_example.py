"""The example that finds spellings which usually mean something else, on a few lines."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import left_out_spellings
from left_out_counts import Counts, count_words, read_names

from hf_equi.groups import Preset, read_preset

LINES = (
    *["We thank God and the goddess, and all men."] * 5,
    *["We saw Martin King, a king and the king. King and queen left."] * 5,
    *["the film of martin king, the king of horror."] * 5,
    *["Dear Mr Lee and Mrs Lee, the men are here."] * 5,
    "They live in Boston, MA, and in Erie, PA, with ma and pa.",
    *["In May the black cat of a Black woman saw an Asian woman and a black man. A White man left."] * 5,
    "THE KING AND GOD OF PA AND MA",
)


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Counts:
    folder = tmp_path_factory.mktemp("text")
    with gzip.open(folder / "some.txt.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(LINES))
    (folder / "male.txt").write_text("Martin\nMay\n", encoding="utf-8")
    (folder / "female.txt").write_text("Ann\n", encoding="utf-8")
    generated = folder / "generated"
    generated.mkdir()
    (generated / "a.tsv").write_text("The Black person thanked God . </S>\n", encoding="utf-8")
    return count_words(folder, [generated], read_names(folder))


def rules(name: str, counts: Counts) -> dict[Sequence[str], str]:
    return {one.spellings: one.rule for one in left_out_spellings.findings(read_preset(name), counts)}


def test_spellings_are_counted_where_they_stand(counts: Counts) -> None:
    columns = (counts.lower, counts.capital, counts.start, counts.caseless)
    assert [column["king"] for column in columns] == [10, 5, 5, 10]
    assert counts.named["king"] == 10
    assert (counts.alone["ma"], counts.alone["king"]) == (1, 0)
    assert counts.capital["god"] == 6
    assert counts.capital["black"] == 5  # not in the prompt of a generated text
    assert counts.people["black"] == 5
    assert counts.title["mr"] == 5
    assert counts.article["black"] == 5


def test_the_rules(counts: Counts) -> None:
    assert rules("gender", counts) == {
        ("God", "GOD"): "name",
        ("King",): "surname",
        ("PA", "MA"): "abbreviation",
    }
    assert rules("race", counts) == {("black",): "common word"}


def test_a_preset_that_says_otherwise_is_named(counts: Counts) -> None:
    preset = read_preset("gender")
    found = list(left_out_spellings.findings(preset, counts))
    assert left_out_spellings.differences(preset, found) == []
    less = Preset(**{**vars(preset), "leave_out": {"Queen": "A band.", "Guy": "By hand: a name."}})
    assert left_out_spellings.differences(less, found) == ["gender: no rule finds 'Queen', and it stays"]
    assert left_out_spellings.differences(preset, found[1:]) != []


def test_tables(counts: Counts) -> None:
    presets = {"gender": read_preset("gender")}
    found = list(left_out_spellings.findings(presets["gender"], counts))
    words = left_out_spellings.shown_words(found, presets, counts)
    assert words[:2] == ["king", "queen"]
    assert "| king | 10 | 5 |" in left_out_spellings.count_table(words, counts)
    assert "| `gender` | Guy | by hand |" in left_out_spellings.found_table(found, presets)
    assert (
        "Martin Luther Queen met the queen. | Martin Luther King met the queen." in left_out_spellings.effect_table()
    )


def test_only_what_is_below_the_marker_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\nProse.\n\n{left_out_spellings.MARKER}\n\nold", encoding="utf-8")
    left_out_spellings.write_page(page, ["new"])
    assert page.read_text(encoding="utf-8") == f"# Title\n\nProse.\n\n{left_out_spellings.MARKER}\n\nnew\n"
