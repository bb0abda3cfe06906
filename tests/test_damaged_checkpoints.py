"""A damaged checkpoint says what it said before, or is refused by an error that names the file."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stored_checkpoints
import torch
from safetensors.torch import load_file, save_file

import hf_equi
from hf_equi.errors import HfEquiError, HfEquiWarning

STORED = Path(__file__).parent / "data" / "checkpoints" / "transformers-5.24"
WEIGHTS = "model.safetensors"
SETTINGS = "config.json"
GENERATION = "generation_config.json"
TOKENIZER = "tokenizer.json"
DEEP = '{"a":' * 10_000 + "1" + "}" * 10_000
"""JSON that no parser of Python reads."""
Damage = Callable[[Path], None]


def cut(name: str, share: float = 0.5) -> Damage:
    def damage(folder: Path) -> None:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(share * len(whole))])

    return damage


def write(name: str, text: str) -> Damage:
    return lambda folder: (folder / name).write_text(text) and None


def entry(name: str, key: str, value: Any) -> Damage:
    """An entry of a JSON file: a dotted key, and what takes the place of its value; `DEEP` stands for itself."""

    def damage(folder: Path) -> None:
        stored = json.loads((folder / name).read_text())
        *path, last = key.split(".")
        inner = stored
        for part in path:
            inner = inner[int(part) if isinstance(inner, list) else part]
        inner[int(last) if isinstance(inner, list) else last] = "deep" if value is DEEP else value
        (folder / name).write_text(json.dumps(stored).replace('"deep"', DEEP))

    return damage


def weights(change: Callable[[dict[str, torch.Tensor], str], Any]) -> Damage:
    """A change of the first weight of a file."""

    def damage(folder: Path) -> None:
        stored = load_file(folder / WEIGHTS)
        change(stored, min(stored))
        save_file(stored, folder / WEIGHTS, metadata={"format": "pt"})

    return damage


def holds(number: float) -> Damage:
    return weights(lambda stored, name: stored[name].view(-1)[-1:].fill_(number))


EVERYWHERE = {
    "config-cut": cut(SETTINGS),
    "config-deep": write(SETTINGS, DEEP),
    "config-null": write(SETTINGS, "null"),
    "config-number": write(SETTINGS, "3"),
    "config-list": write(SETTINGS, "[]"),
    "config-binary": lambda folder: (folder / SETTINGS).write_bytes(b"\xff\xfe\x00\x01"),
    "config-type": entry(SETTINGS, "model_type", ["a"]),
    "config-dtype": entry(SETTINGS, "dtype", "float99"),
    "weights-cut": cut(WEIGHTS),
    "weights-empty": cut(WEIGHTS, 0),
    "weights-gone": lambda folder: (folder / WEIGHTS).unlink(),
    "weights-missing": weights(lambda stored, name: stored.pop(name)),
    "weights-renamed": weights(lambda stored, name: stored.update({f"{name}_x": stored.pop(name)})),
    "weights-more": weights(lambda stored, name: stored.update({"more": torch.zeros(2)})),
    "weights-nan": holds(float("nan")),
    "weights-inf": holds(float("inf")),
    "weights-shape": weights(lambda stored, name: stored.update({name: torch.zeros(3)})),
}
WRAPPED = {
    "base-number": entry(SETTINGS, "base_config", 7),
    "base-null": entry(SETTINGS, "base_config", None),
    "base-type": entry(SETTINGS, "base_config.model_type", 7),
    "group-number": entry(SETTINGS, "group", 7),
    "group-null": entry(SETTINGS, "group", None),
    "group-empty": entry(SETTINGS, "group", {}),
    "method-list": entry(SETTINGS, "method", ["equitune"]),
    "chunks-text": entry(SETTINGS, "orbit_chunk_size", "zz"),
    "format-text": entry(SETTINGS, "format_version", "zz"),
    "deep-entry": entry(SETTINGS, "adapter", DEEP),
}
OF_TEXT = {
    "generation-cut": cut(GENERATION),
    "generation-deep": write(GENERATION, DEEP),
    "generation-number": write(GENERATION, "3"),
    "generation-end": entry(GENERATION, "eos_token_id", "zz"),
    "tokenizer-cut": cut(TOKENIZER),
    "tokenizer-deep": write(TOKENIZER, DEEP),
    "tokenizer-list": write(TOKENIZER, "[]"),
    "tokenizer-model": entry(TOKENIZER, "model", 7),
    "tokenizer-settings": write("tokenizer_config.json", "null"),
    "group-word": entry(SETTINGS, "group.factors.0.equality.0.0", "\ud800"),
    "group-word-number": entry(SETTINGS, "group.factors.0.equality.0.0", 7),
}
OF_ONE_MAP = {
    "map-number": entry(SETTINGS, "token_map", 7),
    "map-sets": entry(SETTINGS, "token_map.sets", None),
    "map-token": entry(SETTINGS, "token_map.sets.0.0.0", "zz"),
    "map-huge": entry(SETTINGS, "token_map.sets.0.0.0", 10**30),
}
CASES = {
    "equi_lm": EVERYWHERE | WRAPPED | OF_TEXT | OF_ONE_MAP,
    "equizero_lm": WRAPPED | {"scorer-number": entry(SETTINGS, "scorer_settings", 7)},
    "equi_seq2seq": EVERYWHERE | WRAPPED | OF_TEXT | {"map-number": entry(SETTINGS, "target_map", 7)},
    "equi_image_classification": EVERYWHERE | WRAPPED | {"units-text": entry(SETTINGS, "lambda_units", "zz")},
    "equi_clip": EVERYWHERE | WRAPPED,
    "equi_q_network": EVERYWHERE
    | WRAPPED
    | {
        "group-states": entry(SETTINGS, "group.states.0", [[1, 1], [0, 1]]),
        "group-actions": entry(SETTINGS, "group.actions.0.0", 7),
        "base-actions": entry(SETTINGS, "base_config.num_actions", 10**9),
    },
    "q_network": EVERYWHERE | {"shape-text": entry(SETTINGS, "state_shape", "zz")},
    "recurrent_seq2seq": EVERYWHERE | {"kind-number": entry(SETTINGS, "cell", 7)},
}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases])
def test_damage_does_no_harm_or_is_named(tmp_path, name, case):
    folder = tmp_path / "checkpoint"
    shutil.copytree(STORED / name, folder)
    CASES[name][case](folder)
    kind = json.loads((STORED / name / SETTINGS).read_text())["architectures"][0]
    inputs, said = stored_checkpoints.expected(STORED / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HfEquiWarning)
        try:
            model = getattr(hf_equi, kind).from_pretrained(folder).eval()
            again = stored_checkpoints.answers(model, inputs)
        except (HfEquiError, OSError) as error:
            assert str(folder) in str(error)  # noqa: PT017
            assert isinstance(error, HfEquiError) or SETTINGS in str(error) or GENERATION in str(error)  # noqa: PT017
            return
    assert not case.startswith("weights-")
    torch.testing.assert_close(again["scores"], said["scores"], atol=1e-5, rtol=1e-5)
    assert "texts" not in said or torch.equal(again["texts"], said["texts"])
