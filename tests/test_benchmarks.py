"""The benchmarks run, and judge measures by the interval of their ratio; what they measure is not looked at here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from children import environment, python_with_package, python_with_transformers

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
        ("composed_words.py", 10),
        ("equizero.py", 4),
        ("point_clouds.py", 8),
        ("pretrained_lm.py", 7),
        ("q_network.py", 52),
        ("seq2seq.py", 14),
        ("training.py", 5),
        ("vision.py", 14),
        ("vision_augmentation.py", 4),
    ],
)
def test_the_smoke_run_writes_a_page_with_every_claim(script: str, least: int, tmp_path: Path) -> None:
    output = tmp_path / "docs" / "benchmarks.md"
    result = run(script, "--smoke", "--output", str(output))
    assert result.returncode == 0, result.stderr
    rows = re.findall(r"^\| .* \| 1 \| – \|$", output.read_text(encoding="utf-8"), re.MULTILINE)
    claims = re.findall(r"^[\w-]+: [\d.]+ \(", result.stderr, re.MULTILINE)
    assert len(set(rows)) == len(claims) >= least


EQUIADAPT = """
from torch import nn
class ESCNNEquivariantNetwork(nn.Linear):
    def __init__(self, shape, channels, kernel, group_type, num_rotations, num_layers, device=None):
        super().__init__(1, 1)
CustomEquivariantNetwork = ESCNNEquivariantNetwork
class GroupEquivariantImageCanonicalization(nn.Module):
    def __init__(self, network, settings, shape):
        super().__init__()
    def canonicalize(self, x):
        return x
    def invert_canonicalization(self, y, induced_rep_type):
        return y.rot90(1, (-2, -1))
"""
"""What the benchmark calls, without a use: it moves nothing, and its way back turns."""


@pytest.fixture
def equiadapt(tmp_path: Path) -> Path:
    """An environment with a stand-in for equiadapt."""
    modules = {"equiadapt": EQUIADAPT, "omegaconf": "class OmegaConf: create = dict", "torchvision": "", "e2cnn": ""}
    for name, text in {**modules, "kornia": ""}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        (tmp_path / f"{name}-0.dist-info").mkdir()
        (tmp_path / f"{name}-0.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 0\n", encoding="utf-8")
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    call = f'PYTHONPATH={tmp_path}:$PYTHONPATH exec {python_with_transformers()} "$@"'
    program.write_text(f"#!/bin/sh\n{call}\n", encoding="utf-8")
    program.chmod(0o755)
    return tmp_path


@pytest.mark.slow
def test_canonicalizers_are_timed_in_turns_with_those_of_another_environment(equiadapt: Path) -> None:
    result = run("canonicalization.py", "--smoke", f"--equiadapt={equiadapt}")
    assert result.returncode == 0, result.stderr
    assert "canonicalization.py --smoke --equiadapt=DIR\n" in result.stdout
    rows = re.findall(r"^\| .* \| 1 \| – \|$", result.stdout, re.MULTILINE)
    assert len(rows) == 7
    assert all(" equiadapt, " in row for row in rows[-4:])
    found = re.findall(
        r"^- (C4|D4), (.*), [\d,]+ weights: read (.*), back (.*), map (.*)$", result.stdout, re.MULTILINE
    )
    errors = {(group, side): tuple(map(float, sizes)) for group, side, *sizes in found}
    assert len(errors) == 6
    for group in ("C4", "D4"):
        assert errors[group, "hf_equi"] == (0, 0, 0)
        assert min(errors[group, "equiadapt, e2cnn network"]) > 0.1
    assert "equiadapt ran with equiadapt 0, e2cnn 0, kornia 0, torchvision 0, numpy " in result.stdout
    ended = run("canonicalization.py", "--smoke", "--only", "base", f"--equiadapt={equiadapt / 'bin'}")
    assert ended.returncode == 1
    assert "holds no Python environment. equiadapt_worker.py says" in ended.stderr
    lacking = run("canonicalization.py", "--smoke", "--only", "equiadapt-c4")
    assert lacking.returncode == 1
    assert "equiadapt-c4: pass --equiadapt DIR" in lacking.stderr


def judge(code: str) -> list[str]:
    """Run code with a claim of the names `claim(ours, bound, **others)`, and return what it prints."""
    define = """
from timing import Claim, median_interval
def claim(ours, bound, speedup=False, **others):
    sides = {name: iter(times) for name, times in {"ours": ours, **others}.items()}
    measures = {name: lambda times=times: next(times) for name, times in sides.items()}
    return Claim("a", "a", measures.pop("ours"), measures, bound, speedup).measure(len(ours), warm=False)
"""
    result = python("-c", define + code)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_the_ratio_is_to_the_way_with_the_smallest_median() -> None:
    lines = judge(
        """
result = claim([2, 2, 2], 1, loop=[4, 4, 4], batch=[1, 3, 9], other=[2, 5, 5])
print(result.best, result.ratio, result.interval)
"""
    )
    assert lines == ["batch 0.6666666666666666 (0.2222222222222222, 2.0)"]


def test_a_verdict_needs_the_whole_interval() -> None:
    lines = judge(
        """
ours = [9, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 0.1]
print([claim(ours, bound, loop=[1] * 9).verdict for bound in (1.61, 1.6, 1.59, 1, 0.99, None)])
print([claim([1] * 9, bound, speedup=True, loop=ours).verdict for bound in (0.99, 1, 1.01, 1.6, 1.61)])
"""
    )
    verdicts = "'met', 'met', 'open', 'open', 'missed'"
    assert lines == [f"[{verdicts}, None]", f"[{verdicts}]"]


def test_rounding_does_not_move_an_end_of_an_interval_onto_its_bound() -> None:
    lines = judge(
        """
from report import _interval
print(_interval(1.046, 1.14, 1.05), _interval(1.05, 1.14, 1.05), _interval(0.001, 0.01, None))
"""
    )
    assert lines == ["1.046–1.140 1.05–1.14 0.00–0.01"]


def test_fewer_than_six_rounds_have_no_verdict() -> None:
    lines = judge("print([claim([1] * rounds, 2, loop=[1] * rounds).verdict for rounds in (1, 5, 6)])")
    assert lines == ["[None, None, 'met']"]


def test_the_interval_holds_the_median_with_the_stated_probability() -> None:
    places = judge("print([median_interval(range(count))[0] for count in (1, 5, 6, 8, 9, 11, 12, 14, 15)])")
    assert places == ["[0, 0, 0, 0, 1, 1, 2, 2, 3]"]  # the table of the sign test at 95%


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
    assert head.startswith("# Benchmarks\n\nEvery row compares the library with")
    commands = "    python a.py\n    python a.py --only two\n"
    rows = "| claim | ratio |\n| --- | --- |\n| one | 1 |\n| two | 3 |\n| new | 4 |\n"
    assert (a, b.strip()) == (f"A\n\n{commands}\n{rows}\nseed 0\n", "B\n\nother")


def test_rows_of_another_run_are_not_put_into_a_section() -> None:
    code = """
from report import Clock, differences, machine, measured_with, place, section
import report
from timing import Claim, Result
result = Result(Claim("a", "a", None, {"b": None}, 1), (1,) * 9, {"b": (1,) * 9})
page = place("", section("A", "", "python a.py", [result], "", measured_with(0, Clock({"wall": 1, "cpu": 1}))))
print(differences(page, "A", 9, 0), differences(page, "B", 5, 1), differences(page, "A", 15, 1))
report.machine = lambda: {**machine(), "threads": 64}
print(differences(page, "A", 9, 0))
"""
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["[] [] ['rounds', 'seed']", "['machine']"]


@pytest.mark.slow
def test_an_interrupted_run_goes_on_behind_the_finished_claims(tmp_path: Path) -> None:
    record, command = tmp_path / "record.json", ("vision_augmentation.py", "--smoke", "--record")
    first = run(*command, str(record), "--only", "vit-1")
    kept = record.read_text(encoding="utf-8")
    second = run(*command, str(record), "--only", "vit-1")
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    row, again = (re.search(r"^\| vit.*$", result.stdout, re.MULTILINE) for result in (first, second))
    assert (row and row[0]) == (again and again[0])
    assert record.read_text(encoding="utf-8") == kept
    assert "--record" not in first.stdout
    for option, was in (("--seed", "'seed': 0"), ("--threads", "'threads': 1, 'machine': {")):
        other = run(*command, str(record), option, "2")
        assert other.returncode == 1
        assert f"holds measures with {{{was}" in other.stderr


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
    result = run("seq2seq.py", "--smoke", "--only", "unmoved", *folders)
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
