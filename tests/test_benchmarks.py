"""The benchmarks run; what they measure is not looked at here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from children import environment, python_with_package

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python where the modules of the benchmarks can be imported."""
    variables = environment(ROOT, BENCHMARKS, OMP_NUM_THREADS="1")
    command = [python_with_package(), *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(str(BENCHMARKS / script), *arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "least"),
    [
        ("causal_lm.py", 10),
        ("equizero.py", 4),
        ("pretrained_lm.py", 7),
        ("seq2seq.py", 11),
        ("training.py", 5),
        ("vision.py", 14),
        ("vision_augmentation.py", 8),
    ],
)
def test_the_smoke_run_writes_a_page_with_every_claim(script: str, least: int, tmp_path: Path) -> None:
    output = tmp_path / "docs" / "benchmarks.md"
    result = run(script, "--smoke", "--threads", "1", "--output", str(output))
    assert result.returncode == 0, result.stderr
    rows = re.findall(r"^\| .* \| (?:met|missed|–) \|$", output.read_text(encoding="utf-8"), re.MULTILINE)
    claims = re.findall(r"^[\w-]+: [\d.]+ \(", result.stderr, re.MULTILINE)
    assert len(rows) == len(claims) >= least


def test_a_section_is_written_in_the_place_of_the_one_before() -> None:
    code = """
from report import place
text = "## A\\n\\n    python a.py\\n\\n| claim | ratio |\\n| --- | --- |\\n| one | 1 |\\n| two | 2 |\\n\\nseed 0\\n"
page = place(place("", text.replace("one", "old")), "## B\\n\\nother\\n")
page = place(page, text)
part = text.replace("| one | 1 |\\n", "").replace("2 |", "3 |\\n| new | 4 |").replace("a.py", "a.py --only two")
print(place(page, part, rows_only=True))
"""
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    head, a, b = result.stdout.split("\n## ")
    assert head.startswith("# Benchmarks\n\nEvery row is a ratio")
    commands = "    python a.py\n    python a.py --only two\n"
    rows = "| claim | ratio |\n| --- | --- |\n| one | 1 |\n| two | 3 |\n| new | 4 |\n"
    assert (a, b.strip()) == (f"A\n\n{commands}\n{rows}\nseed 0\n", "B\n\nother")


def test_an_unknown_claim_is_refused() -> None:
    result = run("causal_lm.py", "--smoke", "--only", "nothing")
    assert result.returncode == 2
    assert "orbit-2" in result.stderr


@pytest.mark.slow
def test_the_seq2seq_benchmark_asks_for_a_trained_base(tmp_path: Path) -> None:
    result = run("seq2seq.py", "--data", str(tmp_path), "--model", str(tmp_path / "base"))
    assert result.returncode == 2
    assert "Pass --model DIR" in result.stderr


@pytest.mark.slow
def test_the_page_does_not_name_folders_of_this_machine(tmp_path: Path) -> None:
    folders = ("--model", str(tmp_path), f"--data={tmp_path}")
    result = run("seq2seq.py", "--smoke", "--threads", "1", "--only", "unmoved", *folders)
    assert result.returncode == 0, result.stderr
    assert "--only unmoved --model DIR --data=DIR\n" in result.stdout
    assert str(tmp_path) not in result.stdout


@pytest.mark.slow
def test_other_answers_than_those_wanted_void_a_ratio() -> None:
    code = "import seq2seq, torch; seq2seq.check(torch.tensor([[1, 5, 2, 0]]), torch.tensor([[1, {}, 2]]))"
    equal, other = (python("-c", code.format(token)) for token in (5, 6))
    assert equal.returncode == 0, equal.stderr
    assert "1 of 1 answers differ" in other.stderr


@pytest.mark.slow
def test_the_benchmark_of_a_pretrained_model_asks_for_its_folder(tmp_path: Path) -> None:
    result = run("pretrained_lm.py", "--model", str(tmp_path / "none"))
    assert result.returncode == 2
    assert "Pass --model DIR, the folder smollm2" in result.stderr
