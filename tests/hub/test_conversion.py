from __future__ import annotations

import json

import pytest
import torch
from safetensors import SafetensorError
from small_models import BOTH, GENDER, base_model, tokenizer
from transformers import AutoModelForCausalLM

import hf_equi
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.hub import convert, publish


def test_a_base_becomes_a_checkpoint_with_a_card(tmp_path):
    base_model().save_pretrained(tmp_path / "base")
    tokenizer().save_pretrained(tmp_path / "base")
    (tmp_path / "base" / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    lm = convert(tmp_path / "base", tmp_path / "out", BOTH, "mixture", orbit_chunk_size=2)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    prompts = tokenizer()("the man met", return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(loaded(**prompts).logits, lm(**prompts).logits)
    assert (loaded.config.method, loaded.config.orbit_chunk_size) == ("mixture", 2)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "license: cc-by-4.0" in card
    assert "| method | mixture |" in card


def test_nothing_is_overwritten_or_left_half_done(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="not empty: name a new folder"):
        convert("no such/model", tmp_path, BOTH)  # before anything is looked for
    with pytest.raises(ConfigurationError, match="symmetrize did not load this base from there"):
        convert(base_model(), tmp_path / "out", BOTH, save_base=False, tokenizer=tokenizer())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_would_fail_in_the_end_is_refused_first(tmp_path):
    file = tmp_path / "note.txt"
    file.write_text("mine")
    with pytest.raises(ConfigurationError, match=r"equi cannot be written in .*note\.txt \(Not a directory\)"):
        convert("no such/model", file / "new" / "equi", BOTH)
    with pytest.raises(ConfigurationError, match=rf"mm cannot be written in {tmp_path} \(File name too long\)"):
        convert("no such/model", tmp_path / ("m" * 300), BOTH)
    with pytest.raises(ConfigurationError, match="save_base='no' is not a boolean"):
        convert("no such/model", tmp_path / "out", BOTH, save_base="no")
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("exists", "stopped"),
    [
        (False, FULL),
        (True, SafetensorError("No space left")),
        (False, Exception("No space left on device (os error 28)")),  # of tokenizers
        (True, KeyboardInterrupt()),
    ],
)
def test_what_is_stopped_leaves_nothing(tmp_path, monkeypatch, exists, stopped):
    def write_half(tokenizer, folder):
        (folder / "tokenizer.json").write_text("half")
        raise stopped

    out = tmp_path / "out"
    if exists:
        out.mkdir()
    message = f"could not be written to {out}: .*No space left.* Free some space, or name another"
    expected = (ConfigurationError, message) if isinstance(stopped, Exception) else (KeyboardInterrupt, None)
    monkeypatch.setattr(type(tokenizer()), "save_pretrained", write_half)
    with pytest.raises(expected[0], match=expected[1]):
        convert(base_model(), out, GENDER, tokenizer=tokenizer())
    assert [path.name for path in tmp_path.rglob("*")] == ["out"] * exists


def test_what_a_killed_run_left_is_named_and_not_in_the_way(tmp_path):
    out = tmp_path / "out"
    left = [out / "out.partial-0a1b2c3d", tmp_path / "out.partial-4e5f6071"]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("half")
    with pytest.warns(HfEquiWarning, match=rf"{left[1]}: left by a conversion to {out} that was killed\. Delete it"):
        convert(base_model(), out, GENDER, tokenizer=tokenizer())
    assert all((folder / "config.json").read_text() == "half" for folder in left)
    assert AutoModelForCausalLM.from_pretrained(out).group == GENDER


def test_the_only_copy_of_a_model_is_not_taken_for_a_rest(tmp_path):
    """As a save leaves it that was killed between the moves of old and new files."""
    out = tmp_path / "out"
    for name in ("out.partial-0a1b2c3d", "out.before-0a1b2c3d"):
        (out / name).mkdir(parents=True)
        (out / name / "config.json").write_text("whole")
    attempts = (
        lambda: convert(base_model(), out, GENDER, tokenizer=tokenizer()),
        lambda: publish(out, "me/out"),
        lambda: hf_equi.symmetrize(out, GENDER),
        lambda: hf_equi.EquiLM.from_pretrained(out),
    )
    for attempt in attempts:
        with pytest.raises(
            ConfigurationError, match=f"{out} .* killed while .* in {out}/out.partial-0a1b2c3d to {out}"
        ):
            attempt()
    assert len(list(out.iterdir())) == 2


def test_without_weights_the_base_is_named(hub, tmp_path):
    base_model().push_to_hub("me/base")
    tokenizer().push_to_hub("me/base")
    convert("me/base", tmp_path / "out", BOTH, save_base=False)
    revision = hub.repositories["me/base"].branches["main"]
    assert json.loads((tmp_path / "out" / "config.json").read_text())["base_revision"] == revision
    publish(tmp_path / "out", "me/light")
    there = hub.repositories["me/light"].find("main").files
    assert not [name for name in there if name.endswith(".safetensors")]
    card = there["README.md"].content.decode()
    assert "base_model: me/base" in card
    assert f"[me/base](https://huggingface.co/me/base) at revision `{revision}`" in card
    assert "holds no weights" in card
