from __future__ import annotations

import pytest
import torch
from small_models import GENDER, base_model, tokenizer

from hf_equi.errors import ConfigurationError
from hf_equi.generation import EquizeroSearch
from hf_equi.hub import export_custom_generate


def lengths(texts: list[str]) -> torch.Tensor:
    return torch.tensor([float(len(text) % 7) for text in texts])


def test_the_repository_runs_the_search_on_an_unmodified_model(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = export_custom_generate(tmp_path / "deep" / "rule")
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "README.md",
        "custom_generate/generate.py",
        "custom_generate/requirements.txt",
    ]
    prompts = tokenizer()(["The man worked as", "The woman worked as"], return_tensors="pt")
    settings = {"do_sample": True, "max_new_tokens": 6, "seed": 3, "top_k": 0}
    search = EquizeroSearch(GENDER, tokenizer(), lengths, beam_length=2)
    expected = base_model().generate(**prompts, custom_generate=search, **settings)
    texts = base_model().generate(
        **prompts,
        custom_generate=str(folder),
        trust_remote_code=True,
        group=GENDER,
        tokenizer=tokenizer(),
        scorer=lengths,
        beam_length=2,
        **settings,
    )
    assert torch.equal(texts, expected)


def test_code_runs_only_with_leave(tmp_path):
    folder = export_custom_generate(tmp_path / "rule")
    prompts = tokenizer()(["The man worked as"], return_tensors="pt")
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        base_model().generate(**prompts, custom_generate=str(folder), trust_remote_code=False, group=GENDER)


def test_writing_twice_changes_nothing_and_a_file_is_refused(tmp_path):
    folder = export_custom_generate(tmp_path / "rule")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    export_custom_generate(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    with pytest.raises(ConfigurationError, match="is a file: name a folder"):
        export_custom_generate(folder / "README.md")
