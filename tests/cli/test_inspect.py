"""`hf-equi inspect`."""

from __future__ import annotations

import json
import shutil

from small_models import GENDER, base_model, tokenizer

import hf_equi
from hf_equi import RegardScorer
from hf_equi.groups import read_preset


def test_a_pipe_gets_plain_lines(run, folder) -> None:
    result = run("inspect", "-m", folder, "-g", "race")
    lines = result.out.splitlines()
    assert (result.status, result.err) == (0, "")
    assert "moves\tBlack/White/Asian\t' black' -> ' white' -> ' asian'" in lines
    assert any(line.startswith("stays\tBlack/White/Asian\t") and "+" in line for line in lines)
    assert "missing\tBlacks/Whites/Asians" in lines
    assert any(line.endswith("tokens move, and 0 of 2 sets as written") for line in lines)
    assert "pronouns" not in result.out
    assert 'pronouns: "he" and "she" change places' in run("inspect", "-m", folder).out


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
    assert "in a prompt: none: The name 'he' contains a pronoun" in out
    assert "preset" not in out
    assert "names: " not in out
    named = '{"equality": [["he", "she"]], "names": ["male", "female"]}'
    assert "names: the group turns the name 'male' into 'male'" in run("inspect", "-m", folder, "-g", named).out


def test_a_terminal_gets_a_table(run, folder, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    result = run("inspect", "-m", folder, "-g", "race")
    assert "tokens that move" in result.out
    assert "\x1b[1;35m' black' -> ' white' -> ' asian'" in result.out


def test_json_is_one_document(run, folder) -> None:
    result = run("inspect", "-m", folder, "--json", "--text", "the woman said")
    document = json.loads(result.out)
    moved = {tuple(row) for one in document["sets"] for row in one["moves"]}
    assert (" man", " woman") in moved
    assert ["stepfather", "stepmother"] in document["sets_missing"]
    assert document["texts"][0]["orbit"] == ["the woman said", "the man said"]
    assert document["general_tokens"] is None
    assert document["pronouns"].startswith('"he" and "she" change places, and "his", "him" and "her" stay')


def test_a_text_is_explained(run, folder) -> None:
    result = run("inspect", "-m", folder, "-t", "the woman said", "-t", "nothing")
    assert "moves: ' woman' -> ' woman', ' man'" in result.out
    assert "text: nothing\nmoves: nothing" in result.out


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


def test_a_saved_search_on_words_has_its_words_explained(run, tmp_path) -> None:
    settings = {"tokenizer": tokenizer(), "scorer": RegardScorer("demo"), "action": "words"}
    hf_equi.symmetrize(base_model(), GENDER, "equizero", **settings).save_pretrained(tmp_path)
    assert "moves: 'WOMAN' -> 'WOMAN', 'MAN'" in run("inspect", "-m", tmp_path, "-t", "the WOMAN said").out


def test_a_relaxed_group_counts_its_tokens(run, folder, tmp_path) -> None:
    path = tmp_path / "relaxed.json"
    path.write_text(json.dumps({"equality": [["man", "woman"]], "neutral": ["nurse", "stepfather"]}))
    result = run("inspect", "-m", folder, "-g", path)
    assert "neutral or general words that are not one token in any form: stepfather" in result.out
    assert "relaxed: " in result.out


def test_an_empty_text_is_refused(run, folder) -> None:
    result = run("inspect", "-m", folder, "--text", " ")
    assert result.status == 2
    assert "A --text is empty" in result.err
