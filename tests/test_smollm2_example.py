"""The example of a real language model, on the embedded one and a few lines of data."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import smollm2_lines
import smollm2_results
import smollm2_stages
from machine import describe, machine
from smollm2_pairs import sentences, why_not, word_pairs
from smollm2_run import COMPOSED, GROUPS, METHODS, Experiment, Sizes

from hf_equi.bases.embedded import embedded_folder
from hf_equi.fairness import prompt_set
from hf_equi.fairness.auditing import Audit

SMALL = Sizes(
    lines=1, tokens=8, professions=2, batches=(1,), new_tokens=2, repeats=1, answer=4,
    composed=3, sampled=1, continued=3, exact=1, exact_tokens=6, exact_continued=2,
)  # fmt: skip
PAIRS = {"male": ["man", "males", "john", "his"], "female": ["woman", "female", "mary", "her"]}
NAMES = {
    "white": {"male": ["Bradley", "Jack"], "female": ["Emily"]},
    "black": {"male": ["Jamal", "Darnell"], "female": ["Imani"]},
}
TEMPLATE = "{% for message in messages %}{{ message['content'] }} {% endfor %}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """All stages, and audits of one pair with two seeds."""
    folder = tmp_path_factory.mktemp("smollm2")
    (folder / "text").mkdir()
    for corpus in smollm2_lines.TEXTS:
        with gzip.open(folder / "text" / f"{corpus}.txt.gz", "wt", encoding="utf-8") as file:
            file.write("The man and his grandson " * 5 + "\n")
    words = folder / "fairness_words"
    (words / "equinlg").mkdir(parents=True)
    (words / "debiaswe").mkdir()
    (words / "name_lists").mkdir()
    for side in ("male", "female"):
        for kind, listed in NAMES.items():
            (words / "name_lists" / f"{kind}_{side}_names.txt").write_text("\n".join(listed[side]), encoding="utf-8")
    for side, listed in PAIRS.items():
        (words / "equinlg" / f"{side}_words.txt").write_text("\n".join(listed), encoding="utf-8")
    (words / "debiaswe" / "equalize_pairs.json").write_text(
        '[["Man", "Woman"], ["wives", "husbands"]]', encoding="utf-8"
    )
    jobs = [["nurse", 0.0, -0.8], ["engineer", 0.0, 0.8], ["king", 1.0, 1.0]]
    (words / "debiaswe" / "professions.json").write_text(json.dumps(jobs), encoding="utf-8")
    run = Experiment(folder, str(embedded_folder("demo_lm")), folder / "runs", folder / "audits", 7, SMALL)
    run.tokenizer.chat_template = TEMPLATE
    with pytest.MonkeyPatch.context() as patch:  # all methods write and score in the tests of the library
        few = {name: METHODS[name] for name in ("base", "EquiLM", "EquizeroLM")}
        patch.setattr(smollm2_stages, "AUDITED", few)
        patch.setattr(smollm2_stages, "METHODS", {**few, COMPOSED: METHODS[COMPOSED]})
        patch.setattr(smollm2_stages, "prompt_set", lambda name: prompt_set(name)[:2])
        patch.setattr(Audit, "_report", lambda *_: None)
        smollm2_stages.draw(run, "gender", 1)
        smollm2_stages.draw(run, "gender", 1, chat=True)
        shutil.copytree(run.audits / "gender-7", run.audits / "gender-8")  # as if drawn with another seed
        for stage in smollm2_stages.STAGES:
            smollm2_stages.finish(run, stage)
    return run


def test_words_of_the_lists_become_sentences(run: Experiment) -> None:
    assert word_pairs(run) == [
        ("man", "woman"),
        ("males", "female"),
        ("john", "mary"),
        ("his", "her"),
        ("husbands", "wives"),
    ]
    assert sentences(("john", "mary"), "engineer")[1] == "People say that Mary worked as an engineer."
    assert why_not(GROUPS["gender"], "males", "female") == "other partner"
    assert why_not(GROUPS["gender"], "john", "mary") == "absent"


def test_equilm_prefers_neither_of_two_images(run: Experiment) -> None:
    found = run.results("pairs")
    assert found["reasons"]["image"] == ["man/woman"]
    assert found["reasons"]["no subject"] == ["his/her"]
    assert found["EquiLM"]["image"]["mean"] == 0.5
    assert found["EquiLM"]["image"]["ties"] == found["EquiLM"]["image"]["sentences"] == 2
    assert found["base"]["image"]["ties"] == 0


def test_seeds_are_pooled(run: Experiment) -> None:
    found = run.results("audits")["gender"]
    assert found["seeds"] == [7, 8]
    models = {entry["model"]: entry for entry in found["models"]}
    assert {entry["samples"] for entry in models.values()} == {8}
    assert models["EquiLM"]["group_gap"] < 1e-5 < models["base"]["group_gap"]
    assert len(found["texts"]) == 8
    in_chat = run.results("chat")["gender"]
    assert in_chat["seeds"] == [7]
    assert list(in_chat["by_prompt"]["base"]) == [
        f"Finish the sentence: {text}" for text in prompt_set("sheng2019")[:2]
    ]


def test_an_audit_is_not_resumed_on_another_machine(run: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smollm2_stages, "machine", lambda: {**machine(), "threads": 0})
    with pytest.raises(SystemExit, match="gender-7 is of another machine"):
        smollm2_stages.draw(run, "gender", 1)


def test_the_page_tells_stages_without_a_machine_apart() -> None:
    old, new = {"seconds": 120}, {"seconds": {"wall": 1, "cpu": 1}, "machine": machine()}
    before = "All stages ran before machines were recorded, and took 2 minutes of CPU time."
    assert smollm2_results.ran({"cost": old}) == before
    mixed = "the other stages ran before both were recorded. Those took 2 minutes of CPU time."
    assert smollm2_results.ran({"cost": old, "pairs": new}).endswith(mixed)


def test_words_of_several_tokens_move_exactly(run: Experiment) -> None:
    words = run.results("composed_words")["gender"]
    before, after = words["sets_moving"]
    assert before < after == words["sets"]
    for group in run.results("composed_gaps").values():
        if "models" in group:
            gaps = {name: entry["largest"] for name, entry in group["models"].items()}
            assert (
                max(gap for name, gap in gaps.items() if COMPOSED in name) < 1e-5 < min(gaps["base"], gaps["EquiLM"])
            )
    lines = run.results("composed_lines")
    assert lines["found"] == lines["read"] == len(smollm2_lines.TEXTS)
    assert lines["figures"]["with"]["lines"] == 3


def test_likelihoods_do_not_depend_on_the_batch(run: Experiment) -> None:
    texts = [[5, 6, 7], [8, 9, 10, 11, 12]]
    together = run.likelihoods(run.base, texts, "")
    alone = torch.cat([run.likelihoods(run.base, [text], "") for text in texts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_page_shows_all_of_it_and_keeps_what_is_gone(run: Experiment, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{smollm2_results.MARKER}\n\nold", encoding="utf-8")
    smollm2_results.write_page(page, run, "the command")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand")
    assert "\n\nold" not in text
    for title in (
        "The audits",
        "Ten pairs of texts",
        "Sentences that differ",
        "Plain text",
        "What each method",
        "Asked in chat",
        "The prompts in chat",
        "Words of several tokens: which move",
        "Words of several tokens: the group gap",
        "Words of several tokens: texts beside",
        "Words of several tokens: likelihood",
    ):
        assert f"## {title}" in text
    assert "| image | EquiLM | 2 | 50.0 % | 2 |" in text
    assert "seeds 7, 8" in text
    for name in ("regard-gender.png", "chat-regard-gender.png", "gaps.png"):
        assert (tmp_path / "page" / name).read_bytes().startswith(b"\x89PNG")
    drawn = f"4 for each model; seeds 7. {describe([{'machine': machine()}])}"
    assert drawn in text.partition("## The prompts in chat")[2]
    assert f"seed 7. {describe(map(run.results, smollm2_stages.STAGES))}" in text
    gone = Experiment(run.data, run.model, tmp_path / "elsewhere", tmp_path / "nothing")
    smollm2_results.write_page(page, gone, "the command")
    assert page.read_text(encoding="utf-8") == text
