"""`hf-equi generate`."""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from pathlib import Path

import pytest
import torch
from small_models import END, GENDER, RACE, base_model, tokenizer

import hf_equi
from hf_equi import DemographicGroup, EquiLM, EquizeroLM, RegardScorer
from hf_equi.cli.loading import load_lm
from hf_equi.errors import GroupWarning

SHORT = ("--max-new-tokens", "4")
SKIP = ("--multi-token", "skip")
DEMO = Path(hf_equi.__file__).parent / "assets" / "demo_lm"


def test_a_pipe_gets_plain_lines(run, folder) -> None:
    result = run("generate", "-m", folder, "-p", "the man worked as", "-n", "2", *SKIP, *SHORT)
    lines = [line.split("\t") for line in result.out.splitlines()]
    assert result.status == 0
    assert lines[0] == ["sample", "model", "prompt", "completion"]
    assert [line[:3] for line in lines[1:5]] == [
        ["1", "base", "the man worked as"],
        ["1", "EquiLM", "the man worked as"],
        ["1", "base", "the woman worked as"],
        ["1", "EquiLM", "the woman worked as"],
    ]
    assert lines[9][0].startswith("How much the likelihood of a text changes if the words are exchanged (0 = not")
    assert [line[0] for line in lines[10:]] == ["base", "EquiLM"]
    assert not set("─│┃━┏┌") & set(result.out)
    assert re.match(r"hf-equi: note: \d+ of 130 words of gender stay as they are with this tokenizer", result.err)
    assert f" --group gender --model {folder} --multi-token skip --all\n" in result.err
    assert result.err.count("\n") == 1


def test_a_terminal_gets_a_table_with_moved_words_highlighted(run, folder, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    result = run("generate", "-m", folder, "-p", "the man worked as", *SHORT)
    assert "─────" in result.out
    assert "\x1b[1;35m man\x1b[0m worked as" in result.out
    assert "EquiLM (equitune)" in result.out


def test_json_is_one_document(run, folder) -> None:
    result = run("generate", "-m", folder, "-p", "the man worked as", "-p", "and she was", "-n", "3", "--json", *SHORT)
    document = json.loads(result.out)
    first, second = document["prompts"]
    assert (first["prompt"], second["prompt"]) == ("the man worked as", "and she was")
    assert first["orbit"][1]["elements"] == ["woman"]
    assert first["orbit"][1]["prompt"] == "the woman worked as"
    assert first["orbit"][1]["moved"] == [" woman"]
    assert len(first["orbit"][0]["base"]) == len(first["orbit"][0]["equi_lm"]) == 3
    assert document["gap"]["equi_lm"]["largest"] <= 1e-5 < document["gap"]["base"]["mean"]
    assert document["gap"]["texts"] == 12


def test_csv_is_one_table(run, folder, tmp_path) -> None:
    file = tmp_path / "own.txt"
    file.write_text('the man, "said"\n')
    result = run("generate", "-m", folder, "--prompts", file, "-n", "2", "--csv", *SHORT)
    header, *rows = csv.reader(io.StringIO(result.out))
    assert header == ["prompt", "demographic", "text", "sample", "model", "completion"]
    assert [row[:5] for row in rows] == [
        ['the man, "said"', name, f'the {name}, "said"', str(sample), model]
        for name in ("man", "woman")
        for sample in (1, 2)
        for model in ("base", "EquiLM")
    ]
    both = run("generate", "-m", folder, "-p", "the man", "--csv", "--json")
    assert (both.status, "--json and --csv cannot be used together" in both.err) == (2, True)


def test_a_chat_is_asked_in_the_turns_of_its_template(run, chat_folder) -> None:
    asked = ("--chat", "--system", "he met the MAN", "-p", "the {demographic}\nworked")
    result = run("generate", "-m", chat_folder, "-g", "gender", *asked, *SKIP, "--json", *SHORT)
    (entry,) = json.loads(result.out)["prompts"]
    assert entry["messages"] == [
        {"role": "system", "content": "he met the MAN"},
        {"role": "user", "content": "the man\nworked"},
    ]
    assert entry["read"] == f"{END}system\nhe met the MAN{END}\nuser\nthe man\nworked{END}\nassistant\n"
    assert [(one["prompt"], one["moved"]) for one in entry["orbit"]] == [
        ("the man\nworked", [" man"]),
        ("the woman\nworked", [" woman"]),
    ]
    assert json.loads(result.out)["gap"]["equi_lm"]["largest"] <= 1e-5
    assert r"note: in 'the man\nworked' words of the group stay where they are: 'he', 'MAN'" in result.err


def test_a_model_without_a_chat_template_is_refused_in_one_line(run, folder) -> None:
    result = run("generate", "-m", folder, "--chat", "-p", "the man", *SHORT)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert "has no chat template: use a model that was trained to chat" in result.err
    assert "(leave out --chat)" in result.err


def test_an_estimate_comes_before_long_work(run, folder, monkeypatch) -> None:
    monkeypatch.setattr("hf_equi.fairness.work._LONG", 0.0)
    result = run(
        "generate", "-m", folder, "-p", "the man", "-p", "the woman said", "-n", "3", "--batch-size", "3", *SHORT
    )
    assert re.search(
        r"note: 24 texts in 36 rows of the base model: about .* in all, if the rest is as fast as the first 3 rows",
        result.err,
    )


def test_templates_are_filled_with_the_first_member(run, folder) -> None:
    result = run("generate", "-m", folder, "--prompt-set", "respect", "-p", "{demographic} said {x}", "--json", *SHORT)
    prompts = [one["prompt"] for one in json.loads(result.out)["prompts"]]
    assert prompts[:2] == ["man said {x}", "The man was known for"]
    assert len(prompts) == 6
    assert "note: Braces in '{demographic} said {x}' are read as they are." in result.err


def test_a_product_shows_the_whole_orbit(run, equi_folder) -> None:
    result = run("generate", "-m", equi_folder, "-p", "the black man", "--json", *SHORT)
    document = json.loads(result.out)
    assert document["method"] == "mixture"
    assert [one["prompt"] for one in document["prompts"][0]["orbit"]] == [
        f"the {race} {gender}" for gender in ("man", "woman") for race in ("black", "white", "asian")
    ]


def test_the_seed_decides(run, folder) -> None:
    first, again, other = (
        run("generate", "-m", folder, "-p", "the man", "--seed", seed, *SHORT).out for seed in ("1", "1", "2")
    )
    assert first == again != other


def test_a_text_of_the_equivariant_model_depends_on_its_prompt_and_number_alone(run, folder) -> None:
    asked = ("generate", "-m", folder, "-p", "the man", *SHORT)
    alone, among = run(*asked).out, run(*asked, "-n", "3", "-p", "and she was").out
    first = [line for line in alone.splitlines() if line.startswith("1\tEquiLM\t")]
    assert len(first) == 2
    assert set(first) < set(among.splitlines())


@pytest.mark.parametrize("options", [["--greedy"], ["--beams", "2", "-n", "2"], ["--top-p", "0.8", "--top-k", "0"]])
def test_other_decodings(run, folder, options) -> None:
    assert run("generate", "-m", folder, "-p", "the man", *options, *SHORT).status == 0


def test_what_does_not_move_is_noted(run, equi_folder) -> None:
    result = run("generate", "-m", equi_folder, "-p", "known for", *SHORT)
    assert "note: nothing moves in 'known for'; hf-equi inspect --text shows why" in result.err
    result = run("generate", "-m", equi_folder, "-p", "the man", "--method", "canonical", *SHORT)
    assert "note: canonical does not symmetrise elements that leave a prompt unchanged" in result.err


def test_words_that_stay_are_noted_of_every_prompt(run, equi_folder) -> None:
    prompts = ("-p", "the WOMAN met a MAN", "-p", "the man", "-p", "the black MAN")
    notes = [line for line in run("generate", "-m", equi_folder, *prompts, *SHORT).err.splitlines() if "stay" in line]
    assert notes == [
        f"hf-equi: note: in {text} words of the group stay where they are: {words}; hf-equi inspect --text shows why"
        for text, words in (("'the WOMAN met a MAN'", "'WOMAN', 'MAN'"), ("'the black MAN'", "'MAN'"))
    ]


def test_a_relaxed_group_is_noted(run, folder, tmp_path) -> None:
    path = tmp_path / "relaxed.json"
    path.write_text(json.dumps({"equality": [["man", "woman"]], "general": ["nurse"]}))
    result = run("generate", "-m", folder, "-g", path, "-p", "the man", *SHORT)
    assert "note: the group is relaxed" in result.err


@pytest.mark.skipif(not DEMO.is_dir(), reason="the embedded model is not there")
def test_the_main_job_on_the_embedded_model(run) -> None:
    document = json.loads(run("generate", "--prompt-set", "sheng2019", "--json").out)
    assert [len(one["orbit"]) for one in document["prompts"]] == [2] * 10
    assert document["gap"]["equi_lm"]["largest"] <= 1e-5
    assert document["gap"]["base"]["mean"] > 0.01


def test_an_average_is_for_methods_whose_texts_depend_on_it(run, folder) -> None:
    settings = ("generate", "-m", folder, "-p", "the man", "--average", "probabilities", *SHORT)
    for method in ("mixture", "canonical", "identity", "equizero"):
        message = run(*settings, "--method", method).err
        assert f"--average has no effect with --method {method}: leave it out" in message
    assert run(*settings, "--method", "equitune").status == 0


def test_a_search_has_no_likelihood_to_compare(run, folder) -> None:
    settings = ("generate", "-m", folder, "-p", "the man worked as", "--method", "equizero", *SHORT)
    lines = [line.split("\t") for line in run(*settings).out.splitlines()]
    assert [line[1] for line in lines[1:5]] == ["base", "EquizeroLM"] * 2
    assert lines[-1][0] == "EquizeroLM"
    assert lines[-1][1].startswith("– (a search has no tractable likelihood")
    document = json.loads(run(*settings, "--json").out)
    assert document["gap"]["equi_lm"] is None
    assert document["method"] == "equizero"


@pytest.fixture(scope="session")
def searches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Saved searches: with a named scorer, without one, and on words."""
    made = {name: tmp_path_factory.mktemp(name) for name in ("named", "nameless", "words")}
    for name, path in made.items():
        named = RegardScorer("demo", score="label")
        hf_equi.symmetrize(
            base_model(), GENDER, "equizero", tokenizer=tokenizer(), beam_length=3,
            scorer=(lambda texts: torch.zeros(len(texts))) if name == "nameless" else named,
            action="words" if name == "words" else "tokens",
        ).save_pretrained(path)  # fmt: skip
    return made


def test_a_saved_search_keeps_its_settings(searches) -> None:
    for group in (None, GENDER):
        lm = load_lm(str(searches["named"]), group)
        assert (lm.config.beam_length, lm.config.action, lm.scorer.score) == (3, "tokens", "label")


def test_a_saved_model_acts_on_words_for_another_group_too(tmp_path) -> None:
    hf_equi.symmetrize(base_model(), GENDER, "mixture", tokenizer=tokenizer(), action="words").save_pretrained(
        tmp_path
    )
    for group, method, action in ((None, None, "words"), (RACE, None, "words"), (RACE, "equitune", "tokens")):
        assert load_lm(str(tmp_path), group, (method, None)).config.action == action


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nameless", (), "was saved without its scorer: pass one with --scorer"),
        ("named", ("--scorer", "/nowhere"), "The scorer '/nowhere' could not be loaded"),
        ("named", ("--beams", "3"), "--beams has no effect with equizero"),
        ("words", (), "acts on words"),
        ("words", ("--method", "mixture"), "acts on words"),
        (
            "named",
            ("--method", "mixture", "--scorer", "demo"),
            "--scorer has no effect with --method mixture, because only equizero minimises a scorer: leave",
        ),
    ],
)
def test_what_a_saved_search_cannot_do(run, searches, monkeypatch, name, arguments, message) -> None:
    for loaded in (EquiLM, EquizeroLM):  # all this is known from its config
        monkeypatch.setattr(loaded, "from_pretrained", None)
    result = run("generate", "-m", searches[name], "-p", "the man", *SHORT, *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_a_setting_is_refused_for_the_method_that_a_model_has_by_itself(run, folder, tmp_path) -> None:
    hf_equi.symmetrize(base_model(), GENDER, "mixture", tokenizer=tokenizer()).config.save_pretrained(tmp_path)
    for model, setting, message in (
        (folder, ("--scorer", "demo"), "--scorer has no effect with the method equitune, because only equizero"),
        (tmp_path, ("--scorer", "demo"), "--scorer has no effect with the method mixture, because only equizero"),
        (tmp_path, ("--average", "probabilities"), "--average has no effect with the method mixture: leave it out"),
    ):
        result = run("generate", "-m", model, "-p", "the man", *setting)
        assert (result.status, message in result.err) == (2, True)


def test_a_saved_search_takes_another_scorer(run, searches) -> None:
    assert run("generate", "-m", searches["nameless"], "-p", "the man", "--scorer", "demo", *SHORT).status == 0


def test_words_of_several_tokens_move_where_the_method_can_move_them(run, folder) -> None:
    chosen = ("generate", "-m", folder, "-g", '[["old king", "queen"], ["he", "she"]]', "--max-new-tokens", "5")
    result = run(*chosen, "-p", "the old king was", "--json")
    document = json.loads(result.out)
    assert document["multi_token"] == "compose"
    assert document == json.loads(run(*chosen, "-p", "the old king was", "--multi-token", "compose", "--json").out)
    assert [member["moved"] for member in document["prompts"][0]["orbit"]] == [[" old king"], [" queen"]]
    assert document["gap"]["equi_lm"]["largest"] <= 1e-5
    assert "words of several tokens that move as one: 'old king'" in result.err
    stays = run(*chosen, "-p", "the old king was", "--method", "mixture", "--json")
    assert json.loads(stays.out)["multi_token"] == "skip"
    assert "in 'the old king was' words of the group stay where they are: 'old king'" in stays.err
    for method, why in (("mixture", "has no effect with --method mixture"), ("magic", "magic")):
        refused = run(*chosen, "-p", "x", "--multi-token", "compose", "--method", method)
        assert (refused.status, why in refused.err) == (2, True)


def test_a_saved_model_keeps_how_it_reads_words_of_several_tokens(tmp_path) -> None:
    group = DemographicGroup([["old king", "queen"], ["he", "she"]])
    settings = {"multi_token": "compose", "look_ahead": 0.25}
    hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer(), **settings).save_pretrained(tmp_path)
    folder = str(tmp_path)
    assert load_lm(folder, None).config.look_ahead == 0.25
    other = load_lm(folder, None, (None, "probabilities"))
    assert (other.action.composes, other.config.look_ahead) == (True, 0.25)
    with warnings.catch_warnings(action="ignore", category=GroupWarning):
        assert not load_lm(folder, None, (None, None, "skip")).action.composes
        assert not load_lm(folder, None, ("mixture", None)).action.composes
