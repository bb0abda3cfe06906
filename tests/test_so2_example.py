"""The example of vectors that turn: its parameters, both forms of equation 5, its records and its page."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import so2_models
import so2_regression
import so2_results
import so2_stages
from so2_stages import ALONE, BEST, EQUIVARIANT, PARTS, TABLE, THETAS, Cell, Run, Settings

TINY = Settings(samples=60, batch=20, epochs=10)


def test_parameters_are_those_of_the_paper() -> None:
    published = so2_results.read_published()
    assert len(published) == len(TABLE) == 6
    for cell in TABLE:
        row = published[(so2_results.title(cell), *cell.theta)]
        assert sum(weight.numel() for weight in cell.make().parameters()) == int(row["parameters"])
    names = [(cell.target, cell.name) for part in PARTS.values() for cell in part]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("printed", [False, True])
@pytest.mark.parametrize("weighs", [False, True])
def test_a_model_is_equation_5_in_one_of_its_forms(printed: bool, weighs: bool) -> None:
    """Written out: one sample and one θ at a time."""
    torch.manual_seed(0)
    model: Any = Cell("equivariant", BEST, weighs=weighs, printed=printed).make().double()
    x = torch.randn(4, 2, 2, dtype=torch.float64)
    for row, found in zip(x, model(x), strict=True):
        h = torch.stack([row[0], torch.stack([-row[0, 1], row[0, 0]])]).mT / row[0].norm()
        total, weight = torch.zeros(2, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        for degrees in (0.0, 90.0, 180.0):
            theta = so2_models.GROUP.exp(torch.tensor([degrees], dtype=torch.float64).deg2rad())
            y, features = model.base((row @ (theta @ h.mT).mT)[None])
            share = model.lambda_network(features)[0].exp() if weighs else torch.ones(())
            back = h if printed else h @ theta.mT
            total, weight = total + share * (back @ y[0]), weight + share
        torch.testing.assert_close(found, total / weight)


def test_only_the_ablation_without_h_and_the_network_alone_do_not_follow_their_input() -> None:
    x = torch.randn(50, 2, 2)
    for part in PARTS.values():
        for cell in part:
            model = cell.make()
            assert (so2_stages.asymmetry(model, x) < 1e-5) == cell.poses, cell.name


def test_the_target_itself_is_reproduced_by_the_inverse_of_theta_alone(tmp_path: Path) -> None:
    x = Run(tmp_path, ALONE, 0, TINY).data("test")[0]
    base = so2_models.ResidualMLP(8, 2)
    for losses in so2_stages.untrained(base, x, so2_stages.equivariant(x)).values():
        assert losses["the target, with the inverse of θ"] < 1e-10
        assert losses["the target, printed"] > 0.1


def test_a_run_repeats_itself_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [Run(tmp_path / name, Cell("invariant", THETAS[0]), 1, TINY) for name in "ab"]
    one, other = (run.finish() for run in runs)
    assert one["test_loss"] == other["test_loss"] == one["curve"][10]
    assert runs[0].results() == json.loads(json.dumps(one))
    monkeypatch.setattr(so2_regression, "fix_arithmetic", lambda threads: None)
    monkeypatch.setattr(so2_regression, "runs_of", lambda *_: runs)
    monkeypatch.setattr(Run, "finish", lambda _: pytest.fail("ran again"))
    monkeypatch.setattr(sys, "argv", ["so2_regression.py", "--output", str(tmp_path)])
    so2_regression.main()


def record(run: Run, loss: float) -> None:
    """Write a record, made up."""
    losses = {f"{base}, {form}": loss for base in ("trained network", "the target") for form in ("printed", "right")}
    run.path.parent.mkdir(parents=True, exist_ok=True)
    run.path.write_text(
        json.dumps(
            {
                "parameters": 7,
                "train_loss": loss,
                "test_loss": loss,
                "curve": {"90": 3 * loss, "100": loss},
                "asymmetry": 3e-7,
                "untrained": {" ".join(theta): losses for theta in THETAS},
                "seconds": {"cpu": 60, "wall": 90},
            }
        ),
        encoding="utf-8",
    )


def test_the_page_holds_means_deviations_and_verdicts(tmp_path: Path) -> None:
    page, runs = tmp_path / "page.md", list(so2_stages.runs_of(tmp_path / "runs", range(5), PARTS))
    page.write_text(f"# By hand\n\n{so2_results.MARKER}\n\nold", encoding="utf-8")
    so2_results.write_page(page, runs, "the command")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand\n")
    assert "old" not in text
    assert "No Θ has been trained." in text
    for run in runs:
        if run.seed < 2 and run.cell.target == "invariant":
            record(run, 0.02 if run.seed else 0.04)
    record(Run(tmp_path / "runs", EQUIVARIANT[0], 0), 0.5)
    so2_results.write_page(page, runs, "the command")
    text = page.read_text(encoding="utf-8")
    assert "The best Θ is {0°, 180°}: 0.0300, at or below the best published 0.11." in text
    ours, twice = "0.0300 (0.0141, 2 of 5 seeds)", "0.0600 (0.0283, 2 of 5 seeds)"
    assert f"| Canon-λ-MLP | 0°, 90°, 180° | 7 | 159,434 | {ours} | 0.11 (0.04), within | {twice} | {ours} |" in text
    assert "3e-07 (0e+00, 2 of 5 seeds) | 60 |" in text
    assert "| 0°, 90° | 0.5000 (1 of 5 seeds) |" in text
    assert json.loads((tmp_path / "page" / "results.json").read_text(encoding="utf-8"))["invariant/mlp/seed0"]
    assert so2_results.judge([1.0, 1.2], (0.5, 0.2)) == "worse"
    assert so2_results.judge([0.001], (0.5, 0.2)) == "better"


def test_smoke_shows_the_effect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    so2_regression.show(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    still, turned = (float(line.rpartition("asymmetry ")[2]) for line in lines[:2])
    assert turned < 1e-5 < 0.1 * still
    right, printed = (float(line.rpartition("loss ")[2]) for line in lines[2:])
    assert right < 1e-10 < 0.1 * printed
