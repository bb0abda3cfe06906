"""`hf-equi inspect`."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from small_models import GENDER, base_model, tokenizer

import hf_equi
from hf_equi import RegardScorer
from hf_equi.groups import read_preset

SKIP = ("--multi-token", "skip")


def test_how_many_words_move_and_why_the_others_stay_comes_first(run, folder) -> None:
    """A word that moves in some spellings is in one list alone, with those spellings."""
    result = run("inspect", "-m", folder, *SKIP)
    lines = result.out.splitlines()
    assert (result.status, result.err) == (0, "")
    moved, stays = map(int, re.match(r"(\d+) of 130 words of gender move .*, and (\d+) stay", lines[0]).groups())
    assert moved + stays == 130
    reasons = re.findall(r"^  (\d+) are (?:several|one token, but a counterpart)", result.out, re.MULTILINE)
    assert sum(map(int, reasons)) == stays
    assert "  man/woman, but not Man/Woman at the start of a text" in lines
    first = lines.index("These stay as they are listed:") + 1
    assert lines[first] == "  his/her: ' '+h+i+s, he+r"
    assert lines[first + 12] == f"  and {stays // 2 - 12} more"
    assert "stepfather" not in result.out
    assert any(line.startswith("These spellings do not move") and "King/Queen" in line for line in lines)
    tokens = next(place for place, line in enumerate(lines) if line.startswith("Of the "))
    assert re.match(r"Of the \d+ tokens of the vocabulary, \d+ move: ", lines[tokens])
    assert first < tokens
    assert "SmolLM2" not in result.out
    assert (
        sum(line.startswith("pronouns: ") and line.endswith("do not follow the demographic.") for line in lines) == 1
    )
    assert 'pronouns: "he" and "she" change places' in result.out
    race = run("inspect", "-m", folder, "-g", "race", *SKIP).out
    assert re.search(r"\n  Black/White/Asian: [^;\n]+; moves as black/white/asian\n", race)
    assert "pronouns" not in race


def test_all_lists_every_word_with_its_spellings(run, folder) -> None:
    lines = run("inspect", "-m", folder, "-g", "gender", "--all", *SKIP).out.splitlines()
    assert any(line.startswith("  stepfather/stepmother: ") for line in lines)
    assert not any(line.startswith("  and ") for line in lines)
    assert lines.index("what\tset\ttokens") < lines.index("moves\the/she\t'He' -> 'She'")
    assert any(line.startswith("pronouns: ") and "one word only" in line for line in lines)
    assert any(line.startswith("stays\the/she\t' '+'H'+'E', ") for line in lines)
    assert f"notes on the preset gender: {' '.join(read_preset('gender').notes)}" in lines
    assert f"the preset gender leaves out 'King': {read_preset('gender').leave_out['King']}" in lines
    refused = run("inspect", "-m", folder, "--all", "-t", "a man")
    assert (refused.status, refused.out) == (2, "")
    assert "--all lists words, and --text explains a text" in refused.err


def test_fewer_elements_are_named(run) -> None:
    assert "\nMore of them move with fewer elements: race:Black,White.\n" in run("inspect", "-g", "race", *SKIP).out


def test_what_a_preset_is_and_what_it_does_not_cover_is_said(run, folder) -> None:
    out = run("inspect", "-m", folder, "-g", "religion*race:Black,White").out
    assert "in a prompt: 'The Christian Black person worked as', 'The Christian White person worked as'" in out
    for name in ("religion", "race"):
        preset = read_preset(name)
        assert f"the words of the preset {name} are from: {preset.source}\n" in out
        assert f"the preset {name} does not cover: {' '.join(preset.not_covered)}\n" in out
    document = json.loads(run("inspect", "-m", folder, "-g", "age", "--json").out)
    assert document["presets"][0]["not_covered"] == list(read_preset("age").not_covered)


def test_of_a_list_of_ones_own_it_is_said_whether_its_names_fill_a_prompt(run, folder) -> None:
    out = run("inspect", "-m", folder, "-g", '[["he", "she"], ["man", "woman"]]').out
    assert "These names do not fit a prompt. The name 'he' contains a pronoun" in out
    assert "preset" not in out
    assert "names: " not in out
    named = '{"equality": [["he", "she"]], "names": ["male", "female"]}'
    assert "names: the group turns the name 'male' into 'male'" in run("inspect", "-m", folder, "-g", named).out


def test_a_terminal_gets_a_table(run, folder, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    assert "tokens that move" not in run("inspect", "-m", folder, "-g", "race").out
    result = run("inspect", "-m", folder, "-g", "race", "--all")
    assert "tokens that move" in result.out
    assert "\x1b[1;35m' black' -> ' white' -> ' asian'" in result.out


def test_json_is_one_document(run, folder) -> None:
    result = run("inspect", "-m", folder, "--json", "--text", "the woman said", *SKIP)
    document = json.loads(result.out)
    moved = {tuple(row) for one in document["sets"] for row in one["moves"]}
    assert (" man", " woman") in moved
    assert ["stepfather", "stepmother"] in document["sets_missing"]
    assert document["texts"][0]["orbit"] == ["the woman said", "the man said"]
    assert document["general_tokens"] is None
    assert (document["words"], document["words_moved"]) == (130, 130 - 2 * len(document["sets_missing"]))
    assert document["pronouns"].startswith('"he" and "she" change places, and "his", "him" and "her" stay')


def test_words_of_several_tokens_move_as_one(run, folder) -> None:
    chosen = ("inspect", "-m", folder)
    assert run(*chosen, "--multi-token", "compose").out == run(*chosen).out
    lines = run(*chosen).out.splitlines()
    assert lines[0] == "130 of 130 words of gender move with this tokenizer."
    assert re.search(r" \d+ spellings of several tokens move as one\.", "\n".join(lines))
    assert "moves as one\the/she\t' HE' -> ' SHE'" in run(*chosen, "--all").out.splitlines()
    document = json.loads(run(*chosen, "--json").out)
    assert (document["words_moved"], document["sets_missing"]) == (130, [])
    assert document["spellings_composed"] > 100
    assert [" stepfather", " stepmother"] in [row for one in document["sets"] for row in one["composed"]]
    assert "\nmoves: stepfather ↔ stepmother (several tokens)\n" in run(*chosen, "-t", "a stepfather").out
    refused = run("inspect", "-m", folder, "--multi-token", "auto")
    assert (refused.status, "use one of 'compose', 'skip'" in refused.err) == (2, True)


def test_a_text_is_explained(run, folder) -> None:
    result = run("inspect", "-m", folder, "-t", "the woman said", "-t", "nothing")
    assert "\nmoves: woman ↔ man\n" in result.out
    assert "text: nothing\nmoves: nothing (no word of the group is in this text)\n" in result.out


def test_a_saved_equilm_has_its_own_group(run, equi_folder) -> None:
    document = json.loads(run("inspect", "-m", equi_folder, "--json").out)
    assert document["group"]["elements"] == [f"{a} {b}" for a in ("man", "woman") for b in ("black", "white", "asian")]


def test_a_stored_map_that_moves_other_words_is_refused(run, equi_folder, tmp_path) -> None:
    edited = tmp_path / "edited"
    shutil.copytree(equi_folder, edited)
    config = json.loads((edited / "config.json").read_text())
    first, second = config["token_map"]["sets"][0][:2]
    first[1], second[1] = second[1], first[1]
    (edited / "config.json").write_text(json.dumps(config))
    result = run("inspect", "-m", str(edited))
    assert result.status == 2
    assert "does not move the words of its group" in result.err


@pytest.mark.parametrize("own", [{"method": "equizero", "scorer": RegardScorer("demo")}, {"method": "mixture"}])
def test_a_saved_model_that_acts_on_words_has_its_words_explained(run, tmp_path, own) -> None:
    settings = {"tokenizer": tokenizer(), "action": "words", **own}
    hf_equi.symmetrize(base_model(), GENDER, **settings).save_pretrained(tmp_path)
    assert "moves: WOMAN ↔ MAN\n" in run("inspect", "-m", tmp_path, "-t", "the WOMAN said").out


def test_a_relaxed_group_counts_its_tokens(run, folder, tmp_path) -> None:
    path = tmp_path / "relaxed.json"
    path.write_text(json.dumps({"equality": [["man", "woman"]], "neutral": ["nurse", "stepfather"]}))
    result = run("inspect", "-m", folder, "-g", path, *SKIP)
    assert "neutral or general words that are not one token in any form: stepfather" in result.out
    assert "relaxed: " in result.out


def test_an_empty_text_is_refused(run, folder) -> None:
    result = run("inspect", "-m", folder, "--text", " ")
    assert result.status == 2
    assert "A --text is empty" in result.err
