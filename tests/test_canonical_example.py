"""The example of canonicalization, on shapes that are drawn: its turns, its stages, and its page."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import canonical_smoke
from canonical_data import turned, turned_once
from canonical_methods import FROZEN, GROUPS, TURNS
from canonical_results import MARKER, write_page
from canonical_stages import CANONICALIZERS, CanonicalRun, answers, load
from data import write_json
from vision_outputs import run_on
from vision_records import Found
from vision_smoke import draw_shapes

from hf_equi import PixelAction

SMALL = replace(canonical_smoke.SIZES, checked=8, weights=32, finetune=128, steps=2, timed=2)
ALL = torch.arange(12)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[canonical_smoke.ShapesRun]:
    """The canonicalizers and one base, with few images to test."""
    made = canonical_smoke.shapes_runs(tmp_path_factory.mktemp("canonical"), SMALL)
    for run in made:
        run.parts["test"] = draw_shapes(24, 1)
    return made


@pytest.fixture(scope="module")
def found(runs: list[canonical_smoke.ShapesRun]) -> Found:
    """The results of all stages."""
    return canonical_smoke.run_all(runs)


@pytest.mark.parametrize("name", TURNS)
def test_images_turn_as_in_the_other_experiment_and_as_in_the_library(name: str) -> None:
    images = draw_shapes(12, 2)
    once = turned_once(images, name, 7)
    assert torch.equal(once.batch(ALL), once.select(ALL.flip(0)).batch(ALL).flip(0))
    if name == "C4":
        assert torch.equal(once.batch(ALL), images.moved("rot90", 7).batch(ALL))
    if name in GROUPS:
        elements = (once.degrees * GROUPS[name].order / 360).long()
        assert torch.equal(once.batch(ALL), PixelAction(GROUPS[name]).apply(elements, images.batch(ALL)))
        again = turned(images, name)
        assert not torch.equal(again.batch(ALL), again.batch(ALL))  # drawn anew


def test_every_model_answers_turned_images_as_upright_ones(found: Found) -> None:
    """Of those with the base as it is, to the bit; and pixels and features lead to the same answers."""
    stages = found["resnet/seed0"]
    for name, own in stages["frozen"]["accuracy"].items():
        assert own["C4"] == own["upright"] or name == "base, none"
    assert {share for own in stages["checks"]["differing"].values() for share in own.values()} == {0}
    assert len(stages["checks"]["differing"]) == 2 * len(FROZEN)


def test_what_the_base_reads_is_counted(found: Found) -> None:
    forwards = found["resnet/seed0"]["speed"]["forwards"]
    assert forwards["base, none"] == 1
    for group, order in (("C4", 4), ("C8", 8)):
        own = {name: forwards[f"{name}, {group}"] for name in FROZEN}
        assert own == dict.fromkeys(own, order) | {"prior only": 1, "orbit scorer": 1, "energy": order + 1}


def test_models_come_back_as_they_were_trained(runs: list[canonical_smoke.ShapesRun], found: Found) -> None:
    run = runs[-1]
    for name, group in (("prior-LC", "C4"), ("augmentation", "C8")):
        own = found["resnet/seed0"][f"finetune_{group}"]["accuracy"][name]
        out = run_on(load(run, name, group), run.test("C8"))
        assert 100 * (out["logits"].argmax(-1) == run.test("C8").labels).double().mean() == pytest.approx(own["C8"])
    assert run.orbits("C4", "any").shape == (24, 4, 32)
    canonical = run_on(load(run, "prior only", "C8"), run.test("any"))["logits"]
    torch.testing.assert_close(canonical, answers(run, "prior only", "C8", "any"), atol=1e-4, rtol=0)


def write_records(output: Path, seed: int, accuracy: float) -> list[CanonicalRun]:
    """Write records that are made up."""
    runs = [CanonicalRun(output, output, name, seed, bases=output) for name in (CANONICALIZERS, "resnet")]
    for run in runs:
        run.folder.mkdir(parents=True)
    turns = dict.fromkeys(TURNS, accuracy)
    pose = {"weights": 1234, **dict.fromkeys(TURNS, 70.0)}
    write_json(
        runs[0].folder / "prior.json",
        {"accuracy": {"prior only, C8": pose}, "training_seconds": {"prior only, C8": 90.4}},
    )
    write_json(
        runs[1].folder / "frozen.json",
        {"accuracy": {"base, none": {**turns, "C8": 50.0}, "prior only, C8": turns, "equizero, C4": turns}},
    )
    prior_lc = {**turns, "upright": 81.0, **{f"{name}, turn found": 66.0 for name in TURNS}}
    write_json(
        runs[1].folder / "finetune_C8.json",
        {"accuracy": {"prior-LC": prior_lc}, "training_seconds": {"prior-LC": 200}},
    )
    rate = {"median": 99.6, "least": 90.0, "most": 101.0}
    write_json(runs[1].folder / "speed.json", {"forwards": {"prior only, C8": 1.0}, "rates": {"prior only, C8": rate}})
    return runs


def test_page_shows_records_over_seeds_and_keeps_what_is_gone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{MARKER}\n\nold", encoding="utf-8")
    runs = [*write_records(tmp_path / "runs", 0, 60.0), *write_records(tmp_path / "runs", 1, 62.0)]
    write_page(page, runs, "the command")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand")
    assert "old" not in text
    two = "2 of 3 seeds"
    same = " | ".join([f"61.0 (1.4, {two})"] * 4)
    assert f"| prior only | {same} | 1 | 100 (0, {two}) | 90 (0, {two}) |" in text
    rest = " | ".join([f"61.0 (1.4, {two})"] * 3)
    # LC and prior-LC compute as the canonicalizer that was timed.
    assert f"| prior-LC | 81.0 (0.0, {two}) | {rest} | 1 | 100 (0, {two}) | 200 (0, {two}) |" in text
    assert f"| equizero | {same} |  |  | none |" in text
    assert f"| prior only, C8 |  | {' | '.join([f'70.0 (0.0, {two})'] * 4)} | 1,234 |" in text
    assert f"| prior-LC, C8 | ResNet | {' | '.join([f'66.0 (0.0, {two})'] * 4)} |  |" in text
    assert f"| prior-LC | 96.19 | 95.31 | 81.0 (0.0, {two}) | 61.0 (1.4, {two}) |" in text
    write_page(page, [CanonicalRun(tmp_path, tmp_path / "gone", "resnet", 0)], "the command")
    assert page.read_text(encoding="utf-8") == text
