"""The program: help, version, exit statuses, and one line for each bad argument."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hf_equi
from hf_equi.cli import main

RUN = "import sys; from hf_equi.cli import main; sys.exit(main())"
WITHOUT_TORCH = (
    "import sys; from hf_equi.cli import main; main(['generate', '--help']); assert 'torch' not in sys.modules"
)


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=os.environ, check=False
    )


def test_help_loads_no_torch_and_shows_examples() -> None:
    child = python(WITHOUT_TORCH)
    assert child.returncode == 0, child.stderr
    assert "Examples:\n    hf-equi generate --prompt" in child.stdout


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_the_program_alone_prints_its_help(run, arguments) -> None:
    result = run(*arguments)
    assert (result.status, result.err) == (0, "")
    assert re.search(r"Commands:\s+generate .*\n\s+inspect ", result.out)


def test_version(run, monkeypatch) -> None:
    monkeypatch.setitem(vars(hf_equi), "__version__", "1.2.3")
    assert run("--version") == (0, "hf-equi 1.2.3\n", "")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["generat"], "No such command 'generat'"),
        (["generate", "--nope"], "No such option: --nope"),
        (
            ["generate"],
            'Nothing to complete: pass --prompt "The man worked as", --prompts FILE, or --prompt-set sheng2019',
        ),
        (["generate", "--prompt", " "], "--prompt is empty"),
        (["generate", "-p", "x", "-n", "0"], r"'-n': use 1 or more\.$"),
        (["generate", "-p", "x", "-n", "two of"], r"'-n': use a whole number\.$"),
        (["generate", "-p", "x", "--top-p", "a half"], r"'--top-p': use a number\.$"),
        (["generate", "-p", "x", "--max-new-tokens", "0"], "--max-new-tokens"),
        (["generate", "-p", "x", "--seed", "-1"], "--seed"),
        (["generate", "-p", "x", "--temperature", "0"], "--temperature must be a number from 1e-06 up.*--greedy"),
        (["generate", "-p", "x", "--top-p", "1.5"], "--top-p"),
        (
            ["generate", "-p", "x", "--prompt-set", "sheng"],
            "prompt_set='sheng' is not known: did you mean 'sheng2019'",
        ),
        (
            ["generate", "-p", "x", "--group", "agee"],
            r"preset='agee' is not known: did you mean 'age'.*\. Or take words of your own: '\[\[",
        ),
        (["generate", "-p", "x", "--group", "gender*gender"], "in two factors of the product"),
        (["generate", "-p", "The \udcff man"], r"--prompt 'The .udcff man' is not UTF-8 text: .* after 'The '"),
        (["inspect", "-t", "\udcff"], "--text '.udcff' is not UTF-8 text"),
        (["audit", "-p", "\udcff {demographic}"], "--prompt .* is not UTF-8 text"),
        (
            ["generate", "-p", "x", "--group", "rotations:4"],
            "rotations:4 moves images, but this needs a group of words",
        ),
        (["generate", "-p", "x", "--model", ""], "The folder '' does not exist"),
        (["generate", "-p", "x", "--method", "equizero", "--scorer", "."], "The folder . holds no config.json"),
        (["generate", "-p", "x", "--group", "missing.json"], "missing.json cannot be read: No such file"),
        (["generate", "-p", "x", "--model", "./missing"], r"folder '\./missing' does not exist"),
        (["generate", "-p", "x", "--model", "openai-community/gpt2"], "'openai-community/gpt2' could not be loaded"),
        (["generate", "-p", "x", "--model", "~nemo/gpt2"], r"home folder of '~nemo/gpt2' is not known: .*\./~nemo"),
        (["inspect", "--model", "~nemo/gpt2"], "home folder of '~nemo/gpt2' is not known"),
        (["convert", "~nemo/gpt2", "out", "-g", "gender"], "home folder of '~nemo/gpt2' is not known"),
        (["inspect", "--group", "~nemo/g.json"], "home folder of '~nemo/g.json' is not known"),
        (["generate", "-p", "x", "--method", "equizero", "--scorer", "~nemo"], "home folder of '~nemo' is not"),
        (["publish", "out", "me/x", "--audit", "~nemo/a"], "home folder of '~nemo/a' is not known"),
        (["generate", "-p", "x", "--model", __file__], "is a file: pass the folder"),
        (["inspect", "--model", "not a name"], "'not a name' could not be loaded"),
        (["inspect", "--group", ""], "preset='' is not known"),
        (
            ["generate", "--prompt-set", "respect", "-m", "x", "-g", '[["he", "she"]]'],
            "The name 'he' contains a pronoun",
        ),
        (["audit", "-m", "x", "-g", '[["he", "she"]]'], "'The he was known for'.* put a set of nouns first"),
    ],
)
def test_bad_arguments_cost_one_line_and_status_2(run, arguments, problem) -> None:
    result = run(*arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("hf-equi: error: ")
    assert result.err.count("\n") == 1
    assert re.search(problem, result.err)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-n", "1000000000"], r"-n 1000000000 takes about [\d,]+ GiB of memory with texts of 23 tokens, but "),
        (["--beams", "20000000"], "--beams 20000000 takes about "),
        (["--scorer", "demo"], "--scorer has no effect with the method equitune"),
        (["--method", "magic"], "method='magic' is not known to .*: use one of 'canonical', 'equitune', 'equizero'"),
        (["--average", "median"], "average='median' is not known: use one of 'logits', 'probabilities'"),
        (["--max-new-tokens", "200"], "has 3 tokens, and 200 new ones go beyond the 128 positions"),
        (["--group", "sexuality", "--multi-token", "skip"], "No word of the group is one token"),
    ],
)
def test_what_does_not_fit_the_model_costs_one_line_too(run, folder, arguments, problem) -> None:
    result = run("generate", "-m", folder, "-p", "man", *arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert re.search(problem, result.err)


def test_a_process_of_its_own_exits_with_the_status() -> None:
    child = python(RUN, "generate", "--nope")
    assert (child.returncode, child.stdout) == (2, "")
    assert child.stderr.startswith("hf-equi: error: No such option: --nope")


def test_a_closed_pipe_leaves_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    child = subprocess.run(
        [sys.executable, "-c", RUN, "--help"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (child.returncode, child.stderr) == (1, "")


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_not_there_leaves_no_traceback(monkeypatch, name) -> None:
    for arguments, status in ((["--version"], 0), (["generat"], 2)):
        monkeypatch.setattr(sys, name, None)
        assert main(arguments) == status
        getattr(sys, name).close()


def test_the_package_declares_the_program() -> None:
    import tomllib

    scripts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"hf-equi": "hf_equi.cli:main"}
