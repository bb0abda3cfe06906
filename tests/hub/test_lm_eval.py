"""lm_eval runs a folder with an EquiLM through its own model type, by the command of docs/publishing.md."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from children import python_with_torch
from hub_models import equi_lm

from hf_equi import EquiLM

PAGE = (Path(__file__).parents[2] / "docs" / "publishing.md").read_text(encoding="utf-8")
# The command, except for the tasks that it brings along: to list thousands of them takes longer than all the rest.
MAIN = """
import functools
import lm_eval.tasks
lm_eval.tasks.TaskManager = functools.partial(lm_eval.tasks.TaskManager, include_defaults=False)
from lm_eval.__main__ import cli_evaluate
cli_evaluate()
"""
# The extra is large, and none of the other tests needs it.
pytestmark = pytest.mark.skipif(find_spec("lm_eval") is None, reason='needs lm_eval: pip install -e ".[eval]"')


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    assert found is not None
    return found[1]


def log_likelihood(lm: EquiLM, prompt: str, choice: str) -> float:
    """Of a choice after a prompt, in nats."""
    context = lm.tokenizer(prompt).input_ids
    ids = torch.tensor([context + lm.tokenizer(choice).input_ids])
    with torch.no_grad():
        scores = lm(ids).logits[0, :-1].log_softmax(-1)
    return float(scores.gather(-1, ids[0, 1:, None])[len(context) - 1 :].sum())


@pytest.mark.slow
def test_a_task_of_two_examples(tmp_path: Path) -> None:
    lm = equi_lm()
    lm.save_pretrained(tmp_path / "equi-gpt2")
    (tmp_path / "pairs.jsonl").write_text(block("json"), encoding="utf-8")
    (tmp_path / "pairs.yaml").write_text(block("yaml"), encoding="utf-8")
    (command,) = re.findall(r"```bash\n(lm_eval .*?)```", PAGE, flags=re.DOTALL)
    program, *arguments = shlex.split(command.replace("\\\n", ""))
    assert program == "lm_eval"
    subprocess.run(
        [python_with_torch(), "-c", MAIN, *arguments, "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.DEVNULL,
        check=True,
    )
    (results,) = tmp_path.glob("results/*/results_*.json")
    assert json.loads(results.read_text(encoding="utf-8"))["results"]["pairs"]["sample_len"] == 2
    (samples,) = tmp_path.glob("results/*/samples_pairs_*.jsonl")
    rows = sorted(map(json.loads, samples.read_text(encoding="utf-8").splitlines()), key=lambda row: row["doc_id"])
    scores = torch.tensor([[float(answer[0][0]) for answer in row["resps"]] for row in rows])
    expected = [[log_likelihood(lm, row["doc"]["prompt"], choice) for choice in row["doc"]["choices"]] for row in rows]
    assert torch.allclose(scores, torch.tensor(expected), atol=1e-4)
    assert torch.allclose(scores[0], scores[1], atol=1e-4)  # the group takes one example to the other
    base = lm.unwrap()
    biased = base(**lm.tokenizer(["The man", "The woman"], return_tensors="pt")).logits[:, -1].log_softmax(-1)
    assert not torch.allclose(biased[0], biased[1], atol=1e-2)
