"""The commands and programs of docs/publishing.md run as they are printed, against a hub on loopback."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from loopback_hub import LoopbackHub
from small_models import base_model, tokenizer
from small_processors import image_processor
from small_vision import classifier

from hf_equi import EquiLM
from hf_equi.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "publishing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", PAGE, flags=re.DOTALL)


def run_block(language: str, block: str) -> dict[str, Any]:
    """What a program leaves behind; of commands only those of this library are run."""
    names: dict[str, Any] = {}
    if language == "python":
        exec(block, names)
    for line in block.replace("\\\n", "").splitlines() if language == "bash" else ():
        program, *arguments = shlex.split(line)
        assert program == "lm_eval" or main(arguments) == 0, line
    return names


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:Words of the group stay:hf_equi.errors.GroupWarning"
)  # the small tokenizer knows few words
@pytest.mark.filterwarnings("ignore:This is a checkpoint of hf_equi:UserWarning")  # of a program that has imported it
def test_every_block_runs(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    for part in (base_model(), tokenizer()):
        part.push_to_hub("openai-community/gpt2")
    for part in (classifier("resnet-basic"), image_processor()):
        part.push_to_hub("microsoft/resnet-18")
    found = [run_block(language, block) for language, block in BLOCKS]
    assert {"me/equi-gpt2", "me/equi-gpt2-small"} <= {*hub.repositories}
    names = next(names for names in found if "texts" in names)
    lm: Any = names["lm"]
    ids = lm.generate(**names["prompts"], max_new_tokens=8, do_sample=True, seed=7)
    assert names["texts"] == lm.tokenizer.batch_decode(ids)
    assert torch.equal(lm.action.apply(1, ids[0]), ids[1])
    card = hub.repositories["me/equi-gpt2"].files()["README.md"].decode()
    assert "license: mit" in card
    assert "Group-theoretic gap" in card
    assert (tmp_path / "equi-resnet" / "config.json").is_file()
    whole, by_name = (EquiLM.from_pretrained(name) for name in ("me/equi-gpt2", "me/equi-gpt2-small"))
    prompts = tokenizer()("The man worked as", return_tensors="pt")
    assert torch.equal(whole(**prompts).logits, by_name(**prompts).logits)
    small = hub.repositories["me/equi-gpt2-small"].files()
    assert sum(map(len, small.values())) < 300_000
