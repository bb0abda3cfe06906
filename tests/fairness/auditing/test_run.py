"""The audit as a whole: stopped and continued, in memory and on the disk."""

from __future__ import annotations

import copy
import json
import signal
import subprocess
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from children import python_with_package
from small_classifiers import classifier
from small_models import GENDER, base_model, tokenizer
from tokenizers import normalizers

import hf_equi
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.auditing import AuditResult, audit
from hf_equi.fairness.auditing.samples import COLUMNS
from hf_equi.fairness.auditing.store import FolderStore
from hf_equi.generation.scorers import LabelScorer

TEMPLATES = ["the {demographic} was", "known for", "the {demographic} worked as"]
RESULTS = ("settings.json", "summary.json", "samples.parquet", "report.html")


def models() -> dict[str, Any]:
    return {"base": base_model(), "EquiLM": hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())}


def run(scorer: Any, out: Path | None = None, prompts: Any = TEMPLATES, **settings: Any) -> AuditResult:
    settings = {"tokenizer": tokenizer(), "seed": 5, "max_new_tokens": 4, "resamples": 20, **settings}
    return audit(models(), group=GENDER, prompts=prompts, scorer=scorer, samples_per_prompt=3, out=out, **settings)


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in RESULTS}


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still: what a text takes is the one thing that differs from run to run."""
    monkeypatch.setattr("hf_equi.fairness.auditing.units.time", SimpleNamespace(perf_counter=lambda: 0.0))


@pytest.fixture(autouse=True)
def _plain_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a report is made of, in place of one: plots take seconds."""

    def write(folder: Path, samples: Any, summary: dict[str, Any], moved: Any) -> Path:
        content = [[{**row, "text": moved(row["text"])} for row in samples], summary]
        (folder / "report.html").write_text(json.dumps(content), encoding="utf-8")
        return folder / "report.html"

    monkeypatch.setattr("hf_equi.fairness.report.write_report", write)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "whole"


@pytest.fixture
def uninterrupted(whole: Path, regard) -> dict[str, bytes]:
    """The files of a run that nothing stopped."""
    if not whole.exists():
        run(regard(), whole)
    return files(whole)


def test_samples_come_in_the_order_of_models_templates_and_demographics(regard) -> None:
    result = run(regard())
    assert result.samples.column_names == list(COLUMNS)
    order = [(row["model"], row["template"], row["demographic"], row["sample"]) for row in result.samples]
    assert order == [
        (model, template, name, sample)
        for model in ("base", "EquiLM")
        for template in TEMPLATES
        for name in (GENDER.names if "{" in template else ("",))
        for sample in range(3)
    ]
    assert (result.drawn, result.report) == (30, None)


def test_the_summary_says_what_was_measured_and_how(regard) -> None:
    summary = run(regard()).summary
    assert [(one["model"], one["samples"]) for one in summary["models"]] == [("base", 12), ("EquiLM", 12)]
    base, equi = summary["models"]
    assert equi["group_gap"] <= 1e-5 < base["group_gap"]
    assert equi["consistency"] == 1.0
    assert (summary["confidence"], summary["resamples"], summary["seed"]) == (0.95, 20, 5)
    assert summary["settings"]["samples_per_prompt"] == 3
    assert summary["settings"]["prompts"] == TEMPLATES
    assert [one["name"] for one in summary["settings"]["models"]] == ["base", "EquiLM"]
    assert set(summary["versions"]) >= {"hf_equi", "torch", "transformers"}
    assert summary["about"]["models"]["EquiLM"]["rows"] == 2
    assert summary["about"]["scorers"] == {
        "regard": {"source": "fake", "revision": None, "parameters": None, "toy": False}
    }
    assert summary["measured"]["seconds_per_text"] == {"base": 0.0, "EquiLM": 0.0}
    assert [date.fromisoformat(day).year >= 2025 for day in summary["measured"]["dates"]] == [True]
    assert {one["template"] for one in summary["templates"]} == {TEMPLATES[0], TEMPLATES[2]}
    assert "was asked to continue each of 3 prompts about man and woman 3 times" in summary["briefing"][0]
    json.dumps(summary, allow_nan=False)


def test_a_folder_holds_the_same_as_memory(regard, uninterrupted, whole) -> None:
    result = run(regard())
    again = run(regard(), whole)
    assert json.loads(uninterrupted["summary.json"]) == result.summary == again.summary
    assert list(again.samples) == list(result.samples)
    assert (again.drawn, again.report) == (0, whole / "report.html")


@pytest.mark.parametrize("finished", [0, 1, 4])
def test_a_run_that_was_killed_goes_on_with_the_same_result(regard, tmp_path, uninterrupted, finished) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(regard(fails_after=finished), tmp_path)
    with (tmp_path / "samples-0.jsonl").open("ab") as file:
        file.write(b'{"model": "base", "template": "the')
    result = run(regard(), tmp_path)
    assert result.drawn == 30 - sum(6 if "{" in template else 3 for template in (TEMPLATES * 2)[:finished])
    assert files(tmp_path) == uninterrupted


DEADLY = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
import torch
torch.set_num_threads(1)
import conftest, test_run
calls, score = [], conftest.FakeRegard.probabilities
def probabilities(self, texts):
    calls.append(texts)
    if len(calls) > {calls}:
        os.kill(os.getpid(), signal.SIGKILL)
    return score(self, texts)
conftest.FakeRegard.probabilities = probabilities
test_run.run(conftest.FakeRegard(), Path({out!r}))
"""


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_what_it_has_done(regard, tmp_path, uninterrupted) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "support")]

    def audit_in_a_process(calls: float) -> int:
        code = DEADLY.format(paths=paths, out=str(tmp_path), calls=calls)
        return subprocess.run([python_with_package(), "-c", code], capture_output=True, check=False).returncode

    assert audit_in_a_process(calls=5) == -signal.SIGKILL  # within the third unit
    assert len((tmp_path / "samples-0.jsonl").read_text().splitlines()) == 2
    assert audit_in_a_process(calls=10**9) == 0
    assert len((tmp_path / "samples-0.jsonl").read_text().splitlines()) == 6
    assert (tmp_path / "samples.parquet").read_bytes() == uninterrupted["samples.parquet"]


def test_an_audit_that_an_earlier_release_began_is_continued_and_tells_no_day(regard, tmp_path, uninterrupted) -> None:
    def append(store: Any, unit: Any, rows: Any, took: Any) -> None:
        write(store, unit, rows)

    write = FolderStore.append
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FolderStore, "append", append)
        with pytest.raises(KeyboardInterrupt):
            run(regard(fails_after=2), tmp_path)
    result = run(regard(), tmp_path)
    assert result.summary["measured"]["dates"] == []
    assert result.summary["models"] == json.loads(uninterrupted["summary.json"])["models"]


def test_work_of_other_processes_is_taken_over(regard, tmp_path, uninterrupted) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(regard(fails_after=2), tmp_path)
    (tmp_path / "samples-0.jsonl").rename(tmp_path / "samples-7.jsonl")
    run(regard(), tmp_path)
    assert files(tmp_path) == uninterrupted


def test_prompts_of_a_chat_go_through_and_are_kept_as_they_are(regard, tmp_path) -> None:
    prompts = ["<end>user\n\tthe {demographic} was\r\n<end>", "\u0645\u06cc\u200c {demographic}\u2028\x1b[2J"]
    first, again = (run(regard(), tmp_path, prompts=prompts) for _ in range(2))
    assert (first.drawn, again.drawn) == (24, 0)
    assert list(again.samples) == list(first.samples)
    for row in first.samples:
        assert row["prompt"] == row["template"].replace("{demographic}", row["demographic"])
        assert row["text"].startswith(row["prompt"])
    assert json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))["prompts"] == prompts
    assert {one["consistency"] for one in first.summary["models"][1:]} == {1.0}


def test_a_unit_that_was_cut_is_refused_by_its_line(regard, tmp_path) -> None:
    run(regard(), tmp_path)
    path = tmp_path / "samples-0.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")
    unit = json.loads(lines[2])
    lines[2] = json.dumps({**unit, "samples": unit["samples"][:3]})
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"Line 3 of .*samples-0\.jsonl is damaged \(it has 3 samples of 6\)"):
        run(regard(), tmp_path)


@pytest.mark.parametrize(
    ("place", "safe"),
    [
        ("report.write_report", "figures"),
        ("auditing.run.write_parquet", "figures"),
        ("auditing.run.write_json", "texts"),
    ],
)
def test_a_full_disk_leaves_what_is_done(regard, tmp_path, monkeypatch, uninterrupted, place, safe) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"hf_equi.fairness.{place}", full)
        with pytest.raises(
            ConfigurationError, match=rf"its {safe}.* safe in .*\(No space left on device\): make room"
        ):
            run(regard(), tmp_path)
    result = run(regard(), tmp_path)
    assert (result.drawn, files(tmp_path)) == (0, uninterrupted)


def test_what_a_report_cannot_be_made_of_is_told_to_all_processes(regard, tmp_path, monkeypatch) -> None:
    def refuse(*_: Any) -> None:
        raise ConfigurationError("no models")

    told: list[Any] = []
    monkeypatch.setattr("hf_equi.fairness.report.write_report", refuse)
    monkeypatch.setattr("hf_equi.fairness.auditing.run.broadcast_object_list", told.append)
    with pytest.raises(ConfigurationError, match=r"its figures .* are safe in .*, but it has no report: no models"):
        run(regard(), tmp_path, ["the {demographic} was"])
    assert "no models" in told[-1][2]


def test_a_folder_of_another_audit_is_refused(regard, uninterrupted, whole) -> None:
    with pytest.raises(ConfigurationError, match=r"other settings \(seed\)"):
        run(regard(), whole, seed=6)
    with pytest.raises(ConfigurationError, match=r"other settings \(prompts, decoding\)"):
        run(regard(), whole, prompts=TEMPLATES[:1], top_k=3)
    assert files(whole) == uninterrupted


def test_a_folder_knows_how_its_tokenizer_cuts_texts(regard, tmp_path) -> None:
    """Of a plain model, that is: an `EquiLM` knows its tokenizer itself."""
    other = copy.deepcopy(tokenizer())
    other.backend_tokenizer.normalizer = normalizers.Lowercase()
    settings = {"max_new_tokens": 2, "resamples": 20, "out": tmp_path / "audit"}
    audit({"base": base_model()}, tokenizer(), GENDER, TEMPLATES[:1], regard(), 2, **settings)
    with pytest.raises(ConfigurationError, match=r"other settings \(tokenizer\)"):
        audit({"base": base_model()}, other, GENDER, TEMPLATES[:1], regard(), 2, **settings)


def test_other_intervals_need_no_other_samples(regard, whole, uninterrupted, tmp_path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("settings.json", "samples-0.jsonl"):
        (copy / name).write_bytes((whole / name).read_bytes())
    result = run(regard(), copy, resamples=30, confidence=0.9)
    assert (result.drawn, result.summary["confidence"]) == (0, 0.9)


def test_neutral_prompts_alone_have_samples_and_no_figures(regard, tmp_path) -> None:
    result = run(regard(), tmp_path, prompts=["known for", "She"])
    assert set(result.samples["demographic"]) == {""}
    assert (result.summary["models"], result.report) == ([], None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group": "gender"}, "group='gender' is not a DemographicGroup"),
        ({"tokenizer": None}, "tokenizer=None is not a transformers tokenizer"),
        ({"prompts": []}, "No prompts"),
        ({"prompts": [3], "chat": True, "system": "a song"}, "Prompt 0 is 3"),
        ({"chat": "yes"}, "chat='yes' is not True or False"),
        ({"system": "a song"}, "A system message needs a chat"),
        ({"chat": True}, "has no chat template"),
        ({"scorer": len}, "gives no label probabilities"),
        ({"models": {}}, "at least one model"),
        ({"samples_per_prompt": 0}, "samples_per_prompt=0"),
        ({"confidence": 2}, "confidence=2"),
    ],
)
def test_every_fault_is_found_before_work_starts(regard, tmp_path, change, message) -> None:
    arguments = {
        "models": models(),
        "tokenizer": tokenizer(),
        "group": GENDER,
        "prompts": TEMPLATES,
        "scorer": regard(fails_after=0),
        "samples_per_prompt": 1,
        "out": tmp_path / "audit",
    }
    with pytest.raises(ConfigurationError, match=message):
        audit(**{**arguments, **change})
    assert not (tmp_path / "audit").exists()


def test_a_relaxed_group_is_measured_by_what_it_moves(regard) -> None:
    settings = {"max_new_tokens": 2, "resamples": 20}
    first, second = (
        audit({"base": base_model()}, tokenizer(), group, TEMPLATES[:1], regard(), 2, **settings).samples
        for group in (GENDER, GENDER.relax(neutral=["nurse"]))
    )
    assert list(first) == list(second)


def test_several_scorers_are_described_and_scored(regard, tmp_path) -> None:
    toxic = LabelScorer(classifier(("toxic", "fine")), "toxic", tokenizer())
    result = run({"regard": regard(), "toxicity": toxic}, tmp_path, resamples=40)
    again = run({"regard": regard(), "toxicity": toxic}, tmp_path, resamples=40)
    assert (again.drawn, list(again.samples)) == (0, list(result.samples))
    assert result.summary["models"][1]["toxicity:masked_parity_gap"] == 0.0
    described = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert described["scorers"]["toxicity"]["label"] == "toxic"
    assert described["scorer"] == described["scorers"]["regard"]
    with pytest.raises(ConfigurationError, match="an audit with other settings"):
        run(regard(), tmp_path, resamples=40)
    with pytest.raises(ConfigurationError, match=r"resamples=20 is too few .* and 2 scorers"):
        run([regard(), toxic])
