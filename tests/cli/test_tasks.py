"""Every command on models of every task: it works, or says in one line what it reads and what reads this model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_seq2seq
from small_models import base_model, tokenizer
from small_processors import clip_processor, image_processor, reading_clip
from small_vision import classifier
from transformers import BartForCausalLM

import hf_equi
from hf_equi import ImageGroup, symmetrize
from hf_equi.bases.embedded import embedded_folder
from hf_equi.cli.tasks import check_task
from hf_equi.errors import UnsupportedModelError
from hf_equi.models.seq2seq.task import Seq2SeqTask

WORDS, TURNS = small_seq2seq.TWO, ImageGroup.rotations(4)
ASKED = {
    "generate": ("-p", "the man", "--max-new-tokens", "2"),
    "inspect": (),
    "audit": ("-p", "the {demographic} was", "-n", "2", "--methods", "base", "--max-new-tokens", "2"),
}
READS = {
    "causal_lm": {"generate", "inspect", "audit"},
    "seq2seq": {"generate", "inspect"},
    "image_classification": set(),
    "clip": set(),
}
OTHERWISE = {
    "seq2seq": "hf-equi generate completes prompts with it, hf-equi inspect shows which of its tokens move",
    "image_classification": "hf-equi audit --images DIR measures how it answers turned pictures, and hf-equi convert",
    "clip": "hf-equi convert makes it equivariant, and hf-equi publish measures how exactly",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """For each task the folder of a base, and that of the same symmetrised."""
    parts = {
        "causal_lm": (base_model(), tokenizer(), hf_equi.DemographicGroup([["man", "woman"]]), "tokenizer"),
        "seq2seq": (small_seq2seq.fresh("t5"), small_seq2seq.tokenizers("t5")[0], WORDS, "tokenizer"),
        "image_classification": (classifier("resnet-basic"), image_processor(), TURNS, "processor"),
        "clip": (reading_clip("clip"), clip_processor("clip"), TURNS, "processor"),
    }
    found: dict[str, dict[str, str]] = {}
    for task, (base, companion, group, name) in parts.items():
        path = tmp_path_factory.mktemp(task)
        for part in (base, companion):
            part.save_pretrained(path / "base")
        symmetrize(base, group, **{name: companion}).save_pretrained(path / "equi")
        found[task] = {kind: str(path / kind) for kind in ("base", "equi")}
    return found


@pytest.mark.parametrize("kind", ["base", "equi"])
@pytest.mark.parametrize("task", READS)
@pytest.mark.parametrize("command", ASKED)
def test_a_command_reads_a_model_or_says_what_does(run, models, tmp_path, monkeypatch, command, task, kind) -> None:
    monkeypatch.setattr("hf_equi.fairness.report.write_report", lambda folder, *_: folder / "report.html")
    out = ("--out", tmp_path / "audit") if command == "audit" else ()
    result = run(command, "-m", models[task][kind], *ASKED[command], *out)
    if command in READS[task]:
        assert result.status == 0
        assert result.out
        return
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"hf-equi: error: hf-equi {command} ")
    assert f"{models[task][kind]} is a {hf_equi.registration.tasks()[task].what}. {OTHERWISE[task]}" in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "audit").exists()


def test_a_task_says_itself_which_commands_read_its_models(monkeypatch) -> None:
    config = small_seq2seq.fresh("t5").config
    with pytest.raises(UnsupportedModelError, match="hf-equi audit audits causal"):
        check_task("audit", "some/model", config)
    monkeypatch.setattr(Seq2SeqTask, "commands", ("audit",))
    check_task("audit", "some/model", config)


def test_a_symmetrised_model_of_any_task_is_inspected_with_its_own_group(run, models) -> None:
    document = json.loads(run("inspect", "-m", models["seq2seq"]["equi"], "--json").out)
    assert document["group"]["elements"] == list(WORDS.names)
    assert [one["moves"] for one in document["sets"]] == [[["jump", "run"]], [["I_JUMP", "I_RUN"]]]


def test_of_several_tasks_a_command_takes_its_own(run, models, tmp_path) -> None:
    """A config that may be of an encoder-decoder or of its decoder alone, without the class that it was saved from."""
    BartForCausalLM(small_seq2seq.fresh("bart").config).save_pretrained(tmp_path)
    small_seq2seq.tokenizers("bart")[0].save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "architectures": None, "encoder_layers": config["decoder_layers"]}))
    group = tmp_path / "group.json"
    group.write_text(json.dumps(WORDS.to_dict()))
    result = run("generate", "-m", tmp_path, "-g", group, "-p", "jump", "--max-new-tokens", "2")
    assert result.status == 0, result.err


def test_a_command_that_runs_a_model_refuses_one_with_random_weights(run, tmp_path) -> None:
    """As of a model of another kind, or one whose head was to be trained."""
    classifier = embedded_folder("demo_regard")
    for arguments in (("generate", "-p", "the man"), ("audit", "--out", tmp_path / "audit")):
        result = run(*arguments, "-m", classifier)
        assert (result.status, result.out) == (2, "")
        assert "lacks weights of a BertLMHeadModel: " in result.err
        assert "They start at random: train them before you use the model." in result.err
    converted = run("convert", classifier, tmp_path / "out", "-g", "gender")
    assert (converted.status, "They start at random: train them" in converted.err) == (0, True)


def test_a_folder_without_a_tokenizer_says_so(run, models, tmp_path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((Path(models["causal_lm"]["base"]) / name).read_bytes())
    for command in ("generate", "inspect"):
        result = run(command, "-m", tmp_path, *ASKED[command])
        assert (result.status, result.out) == (2, "")
        assert f"{tmp_path} has no tokenizer. Save that of its base there: tokenizer.save_pretrained(" in result.err
