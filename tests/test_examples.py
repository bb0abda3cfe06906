"""The examples of SCAN, of images and of finetuning: what can be checked without their data."""

from __future__ import annotations

import ast
import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import data
import finetune_data
import finetune_equilm
import finetune_results
import finetune_stages
import pronouns
import scan_results
import scan_stages
import scan_training
import vision_methods
import vision_results
import vision_smoke
import vision_stages
from children import python_with_package
from cifar import CifarImages
from scan_data import END, PAD, read_pairs
from small_models import base_model, tokenizer
from token_writers import bytes_tokenizer
from transformers import ResNetConfig, ResNetForImageClassification

from hf_equi.actions import PixelAction

SCRIPT = str(Path(__file__).parents[1] / "examples" / "scan.py")


def test_whatever_data_an_example_needs_is_named_with_its_source() -> None:
    calls = [
        call
        for path in Path(SCRIPT).parent.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "require"
    ]
    folders = {folder.value for call in calls for folder in call.args[1:] if isinstance(folder, ast.Constant)}
    assert len(folders) > 5
    assert folders <= set(data.SOURCES)


def test_smoke_shows_the_effect() -> None:
    done = subprocess.run(
        [python_with_package(), SCRIPT, "--smoke"], capture_output=True, text=True, check=True, timeout=300
    )
    answers = dict(line.split(' "jump twice" -> ') for line in done.stdout.splitlines() if "->" in line)
    answers = {name.strip(): answer.strip() for name, answer in answers.items()}
    assert answers["equizero"] == "I_JUMP I_JUMP"
    assert answers["base"] != "I_JUMP I_JUMP"


def test_missing_data_are_named(tmp_path: Path) -> None:
    command = [python_with_package(), SCRIPT, "--data", str(tmp_path), "--output", str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "brendenlake/SCAN" in done.stderr


def test_answers_match_up_to_their_first_end() -> None:
    labels = torch.tensor([[5, 6, END, -100], [5, END, -100, -100], [5, 6, 7, END], [5, 6, END, -100]])
    found = torch.tensor([[5, 6, END, 9, 9], [5, 6, END, PAD, PAD], [5, 6, 7, PAD, PAD], [5, 6, END, PAD, PAD]])
    assert scan_training.matches(found, labels).tolist() == [True, False, False, True]
    assert scan_training.matches(found[3:, :3], labels[3:]).tolist() == [True]


def test_batches_hold_sentences_of_like_length_each_once() -> None:
    lengths = torch.randint(1, 50, (1000,)).tolist()
    sampler = scan_training.LengthSampler(lengths, 10, pool=5)
    order = list(sampler)
    assert sorted(order) == list(range(1000))
    sampler.set_epoch(1)
    assert list(sampler) != order
    spread = [
        max(lengths[i] for i in order[k : k + 10]) - min(lengths[i] for i in order[k : k + 10])
        for k in range(0, 1000, 10)
    ]
    assert sum(spread) / len(spread) < 20  # of 49 where batches are drawn at random


def test_pairs_are_read(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("IN: jump twice OUT: I_JUMP I_JUMP\n", encoding="utf-8")
    assert read_pairs(tmp_path / "pairs.txt")[0] == {"command": "jump twice", "actions": "I_JUMP I_JUMP"}


@pytest.fixture
def runs(tmp_path: Path) -> list[scan_stages.Run]:
    """Results of two seeds, made up."""
    made = [scan_stages.Run(tmp_path, tmp_path / "runs", "add_jump", "lstm", seed) for seed in range(2)]
    for run, test in zip(made, (70.0, 80.0), strict=True):
        run.finish("pretrain", {"accuracy": {"validation": 99.0, "test": 0.0}})
        run.finish("zero_shot", {"accuracy": {"equizero": {"validation": 98.0, "test": test}}})
        points = {"0": 10.0, "25": test}
        run.finish(
            "finetune",
            {
                "accuracy": {"equizero": {"validation": 98.0, "test": test}},
                "curves": dict.fromkeys(scan_results.STYLES, points),
            },
        )
    return made


def test_page_holds_means_deviations_and_verdicts(runs: list[scan_stages.Run], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{scan_results.MARKER}\n\nold", encoding="utf-8")
    scan_results.write_page(page, runs, "the command")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand")
    assert "old" not in text
    assert "    the command" in text
    equizero = "98.0 (0.0, 2 of 3 seeds) | 98.4 (0.9), within | 75.0 (7.1, 2 of 3 seeds) | 75.2 (1.5), within"
    assert f"| add_jump | equizero | {equizero} |" in text
    assert "8 of them are measured. 7 of ours are within" in text
    assert "Table 10, add_jump, EquizeroLSTM, test: 75.0 (7.1, 2 of 3 seeds) against 97.9 (0.8)" in text
    assert (tmp_path / "page" / "few_shot.png").read_bytes().startswith(b"\x89PNG")


def test_page_keeps_results_whose_runs_are_gone(runs: list[scan_stages.Run], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    scan_results.write_page(page, runs, "x")
    before = page.read_text(encoding="utf-8")
    gone = [scan_stages.Run(tmp_path, tmp_path / "elsewhere", run.split, run.cell, run.seed) for run in runs]
    scan_results.write_page(page, gone, "x")
    assert page.read_text(encoding="utf-8") == before
    stored = json.loads((tmp_path / "page" / "results.json").read_text(encoding="utf-8"))
    assert sorted(stored) == ["add_jump/lstm/seed0", "add_jump/lstm/seed1", "others"]


def test_smoke_of_images_runs_all_stages(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way of the tables is made and measured, and one of a kind is trained."""
    fit, trained = vision_stages.fit, set[tuple[Any, ...]]()

    def fit_one_of_a_kind(run: vision_stages.Run, model: Any, phase: Any, **data: Any) -> float:
        kind: tuple[Any, ...] = (phase.trains, model.config.method, model.config.level)
        if model.config.method == "equizero":  # whose accuracy is asked for, under either group
            kind = (*kind, model.group)
        if kind not in trained:
            trained.add(kind)
            return fit(run, model, phase, **data)
        with phase.applied(model):
            phase.arguments(run.folder / "trainer", **vision_stages.QUIET)
        return 0.0

    monkeypatch.setattr(vision_stages, "fit", fit_one_of_a_kind)
    vision_smoke.show()
    assert {trains for trains, *_ in trained} == {"lambda", "all", "last_layers"}
    assert {method for _, method, *_ in trained} == {"identity", "equitune", "equizero", "lambda", "attention"}
    assert {level for _, _, level, *_ in trained} == {"features", "spatial"}
    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith(" %")]
    found = {name: float(share.removesuffix(" %")) for name, share in (line.rsplit(": ", 1) for line in lines)}
    assert found["base, upright shapes"] > 95
    for moved in ("turned", "mirrored"):
        assert found[f"base, {moved} shapes"] < 65
        assert found[f"equizero, finetuned, {moved} shapes"] > found[f"base, {moved} shapes"] + 15


def test_finetuning_begins_with_the_trained_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, begun = vision_smoke.ShapesRun(tmp_path, tmp_path, "resnet", 0, vision_smoke.SIZES), []
    sizes = {"embedding_size": 8, "hidden_sizes": [8], "depths": [1], "layer_type": "basic"}
    ResNetForImageClassification(ResNetConfig(**sizes, num_labels=4)).save_pretrained(run.folder / "base")
    trained = {name: weight + 1 for name, weight in run.symmetrize("flip", method="lambda").state_dict().items()}
    network = {name.removeprefix("lambda_network."): trained[name] for name in trained if "lambda_network" in name}
    vision_stages.save(network, run.network("flip", "λ-equitune"))

    def keep(run: object, model: torch.nn.Module, *_: object, **__: object) -> float:
        begun.append({name: weight.clone() for name, weight in model.state_dict().items() if "lambda_network" in name})
        return 0.0

    monkeypatch.setattr(vision_stages, "fit", keep)
    monkeypatch.setattr(vision_stages, "measure_finetuned", lambda *_: {"moved": 0.0})
    vision_stages._finetune(run, "flip", "λ-equitune", *vision_methods.FINETUNED["λ-equitune"])
    (found,) = begun
    assert len(found) == len(network) > 0
    assert all(torch.equal(weight, trained[name]) for name, weight in found.items())


@pytest.mark.parametrize("transform", ["rot90", "flip"])
def test_upright_views_are_the_upright_members(transform: str) -> None:
    upright = CifarImages(torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8), torch.zeros(20).long())
    moved = upright.moved(transform, seed=3)
    everything = torch.arange(20)
    action = PixelAction(vision_stages.GROUPS[transform])
    found = action.apply(vision_stages.upright_views(moved, transform), moved.batch(everything))
    assert torch.equal(found, upright.batch(everything))


@pytest.fixture
def image_runs(tmp_path: Path) -> list[vision_stages.Run]:
    """Results of two seeds, made up; the second has not finished finetuning."""
    made = [vision_stages.Run(tmp_path, tmp_path / "runs", "resnet", seed) for seed in range(2)]
    for run, moved, stage in zip(made, (60.0, 70.0), ("finetune_flip", "finetune_flip_part"), strict=True):
        run.folder.mkdir(parents=True)
        accuracy = {group: {"equitune": {"moved": moved}} for group in vision_stages.GROUPS}
        scan_training.write_json(run.folder / "zero_shot.json", {"upright": 80.0, "accuracy": accuracy})
        seconds = {"method_seconds": {"equitune": 9}, "training_seconds": {"equitune": 5}}
        scan_training.write_json(
            run.folder / f"{stage}.json", {"accuracy": {"equitune": {"moved": moved + 5}}, **seconds}
        )
    return made


def test_page_of_images_shows_what_is_there(image_runs: list[vision_stages.Run], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{vision_results.MARKER}\n\nold", encoding="utf-8")
    vision_results.write_page(page, image_runs, "the command")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand")
    assert "old" not in text
    assert "| ResNet | equitune | 65.0 (7.1, 2 of 3 seeds) | 65.0 (7.1, 2 of 3 seeds) |  |  |" in text
    assert "| ResNet | equitune | 70.0 (7.1, 2 of 3 seeds) | same as moved |  | 5 (0, 2 of 3 seeds) |" in text
    assert text.count("No run has come this far.") == 3  # of checks, weights, and finetuning for rot90
    for name in ("rot90.png", "flip.png"):
        assert (tmp_path / "page" / name).read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "page" / "weights.png").exists()
    gone = [vision_stages.Run(tmp_path, tmp_path / "elsewhere", run.architecture, run.seed) for run in image_runs]
    vision_results.write_page(page, gone, "the command")
    assert page.read_text(encoding="utf-8") == text


@pytest.fixture(scope="module")
def finetuning(tmp_path_factory: pytest.TempPathFactory) -> finetune_stages.Experiment:
    """A small experiment on made-up lines."""
    folder = tmp_path_factory.mktemp("finetuning")
    finetune_equilm.write_lines(folder / "text")
    yardstick = finetune_stages.Yardstick(folder / "text", finetune_equilm.SMALL)
    return finetune_stages.Experiment(yardstick, folder / "runs")


def test_finetuned_equilm_has_no_gap(
    finetuning: finetune_stages.Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = tuple(finetune_stages.WAYS)
    finetune_equilm.run(finetuning, (0,), ways)
    stages = finetune_results.gather(finetuning, (0,), tmp_path / "none")
    rows = {row: stage["figures"][row] for stage in stages.values() for row in stage["figures"]}
    assert set(rows) == set(finetune_stages.ROWS)
    steps = {name.partition("/")[2]: stage["steps"] for name, stage in stages.items() if "steps" in stage}
    assert steps == {"plain": 6, "augmented": 6, "equilm": 6, "plain_longer": 10, "augmented_longer": 10}
    for row, figures in rows.items():
        exact = "EquiLM" in row
        assert (figures["gap_largest"] <= 1e-5) is exact
        assert (figures["prompted_gap_largest"] <= 1e-5) is exact
        assert (abs(figures["perplexity_written"] / figures["perplexity_exchanged"] - 1) <= 1e-5) is exact
        assert figures["control_gap"] > 1e-3  # an EquiLM is equivariant to its own group alone
        assert row.startswith("base") or figures["perplexity"] < rows["base"]["perplexity"] / 10
    # What is finished is not run again, and not taken for the result of other settings.
    monkeypatch.setattr(finetune_stages, "Trainer", None)
    assert finetuning.run(0, "equilm") == stages["seed0/equilm"]
    with pytest.raises(SystemExit, match="has results of other settings"):
        replace(finetuning, streaming=True).run(0, "equilm")


def test_streamed_texts_are_those_of_the_data_set(finetuning: finetune_stages.Experiment, tmp_path: Path) -> None:
    encoder = finetune_data.Encoder(finetune_data.load_tokenizer())
    augmenter = finetune_data.Augmenter(finetuning.yardstick.action)
    folder = finetuning.yardstick.texts
    held_out = finetune_data.held_out_texts(folder, encoder)
    found: dict[tuple[bool, bool], list[list[int]]] = {}
    for augmented, streaming in itertools.product((False, True), repeat=2):
        texts = finetune_data.training_texts(
            folder,
            encoder,
            augmenter if augmented else None,
            count=1000,
            seed=0,
            cache=tmp_path,
            streaming=streaming,
        )
        found[augmented, streaming] = [row["input_ids"] for row in texts]
    for augmented in (False, True):
        assert found[augmented, True] != found[augmented, False]  # in another order
        assert sorted(found[augmented, True]) == sorted(found[augmented, False])
    plain, joined = sorted(found[False, False]), sorted(found[True, False])
    assert len(plain) + len(held_out) == 180
    assert held_out
    assert not [ids for ids in held_out if ids in plain]
    moved = [ids for ids in plain if finetuning.yardstick.action.is_moved[ids].any()]
    images = [finetuning.yardstick.action.apply(1, torch.tensor(ids)).tolist() for ids in moved]
    assert 0 < len(moved) < len(plain)
    assert sorted(plain + images) == joined


def test_equilm_is_finetuned_from_a_stream(finetuning: finetune_stages.Experiment, tmp_path: Path) -> None:
    figures = replace(finetuning, output=tmp_path, streaming=True).run(0, "equilm")["figures"]["finetuned as EquiLM"]
    assert figures["gap_largest"] <= 1e-5
    assert figures["perplexity"] < 1000  # of thousands before


def test_page_of_finetuning_shows_what_is_there(finetuning: finetune_stages.Experiment, tmp_path: Path) -> None:
    """Of two seeds, made up."""
    names = ("perplexity_exchanged", "perplexity_written", *finetune_results.GAPS)
    settings = {**vars(finetune_equilm.SMALL), "streaming": False}
    for seed, value in enumerate((20.0, 30.0)):
        figures = {"perplexity": value, **dict.fromkeys(names, 0.5)}
        folder = tmp_path / f"seed{seed}" / "plain"
        folder.mkdir(parents=True)
        content = {"figures": {"finetuned": figures}, "seconds": {"wall": 9, "cpu": 9}, "settings": settings}
        scan_training.write_json(folder / "results.json", content)
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{finetune_results.MARKER}\n\nold", encoding="utf-8")
    results = tmp_path / "page" / "results.json"
    finetune_results.write_page(
        page, finetune_results.gather(replace(finetuning, output=tmp_path), (0, 1), results), "the command"
    )
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand")
    assert "old" not in text
    assert "| finetuned | 25.0 (7.1) | 0.500 (0.000) | 0.500 (0.000) | 9.000 (0.000) | 1.00 |" in text
    assert (tmp_path / "page" / "gaps.png").read_bytes().startswith(b"\x89PNG")
    gone = finetune_results.gather(replace(finetuning, output=tmp_path / "elsewhere"), (0, 1), results)
    finetune_results.write_page(page, gone, "the command")
    assert page.read_text(encoding="utf-8") == text


def test_pronouns_have_a_row_for_each_model_and_a_figure_for_each_place() -> None:
    assert {
        name: [words for words in group.factors[0].sets if "her" in words] for name, group in pronouns.groups().items()
    } == {
        "his/her": [("his", "her")],
        "him/her": [("him", "her")],
        "neither": [],
    }
    words = bytes_tokenizer("so Ġhim Ġher Ġhis")
    lines = pronouns.table({"one": base_model(), "two": base_model()}, words)
    assert [line.count("|") for line in lines] == [8] * 4
    assert lines[2].replace("one", "two") == lines[3]
    with pytest.raises(SystemExit, match="'him' is not a single token of this model"):
        pronouns.table({"one": base_model()}, tokenizer())
