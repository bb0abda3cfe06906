"""What was pushed loads in a fresh process with an empty cache, and gives the same logits to the bit."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from children import python_with_torch
from hub_client import connected
from hub_models import PROMPTS, Published, published_models
from loopback_hub import LoopbackHub
from safetensors.torch import save_file
from small_models import BOTH, base_model, tokenizer

import hf_equi

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # by peft

WORKER = Path(__file__).parents[1] / "support" / "loading_worker.py"
BASE, BY_NAME = "me/base", "me/equi-by-name"
CLASSES = {
    "me/equi-lm": "EquiLM",
    "me/equi-classifier": "EquiForImageClassification",
    "me/equi-translator": "EquiForSeq2SeqLM",
    "me/equizero-lm": "EquizeroLM",
    "me/equi-siglip": "EquiSiglipModel",
    "me/equi-adapted-lm": "EquiLM",
    BY_NAME: "EquiLM",
}


class Shelf(NamedTuple):
    """What the hub holds, and where it is written what a child has to find."""

    hub: LoopbackHub
    folder: Path
    base_revision: str


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("hub")
    with LoopbackHub() as hub:
        with connected(hub, folder / "cache"):
            models = published_models()
            for name, published in models.items():
                published.model.push_to_hub(name)
            revision = push_without_base(hub, models, folder / "by-name")
        for number, published in enumerate(models.values()):
            save_file({**published.inputs, "logits": published.logits()}, folder / f"{number}.safetensors")
        listing = {name: published.auto_class for name, published in models.items()}
        (folder / "models.json").write_text(json.dumps(listing), encoding="utf-8")
        yield Shelf(hub, folder, revision)


def push_without_base(hub: LoopbackHub, models: dict[str, Published], folder: Path) -> str:
    """Publish a base, a model that names it, and then a newer base with other weights."""
    base_model().push_to_hub(BASE)
    tokenizer().push_to_hub(BASE)
    lm = hf_equi.symmetrize(BASE, BOTH)
    lm.save_pretrained(folder, save_base=False)
    hf_equi.hub.publish(folder, BY_NAME)
    prompts = tokenizer()(PROMPTS, return_tensors="pt", padding=True)
    models[BY_NAME] = Published(lm, "AutoModelForCausalLM", dict(prompts))
    revision = hub.repositories[BASE].branches["main"]
    lm.unwrap().lm_head.weight.data.neg_()
    lm.unwrap().push_to_hub(BASE)
    lm.unwrap().lm_head.weight.data.neg_()
    assert hub.repositories[BASE].branches["main"] != revision
    return revision


def in_a_fresh_process(shelf: Shelf, how: str, home: Path) -> dict[str, Any]:
    """What a child finds that has nothing but the address of the hub: no cache, no token."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_HOME": str(home), "HF_ENDPOINT": shelf.hub.url, "HF_HUB_DISABLE_XET": "1"}
    child = subprocess.run(
        [python_with_torch(), str(WORKER), how, str(shelf.folder)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    found: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return found


def check_models(found: dict[str, Any], base_revision: str, hub: LoopbackHub) -> None:
    loaded = {name: one for name, one in found.items() if name.startswith("me/")}
    assert {name: one["class"].rpartition(".")[2] for name, one in loaded.items()} == CLASSES
    assert [name for name, one in loaded.items() if not one["equal"]] == []
    for one in loaded.values():  # saved again
        assert (one["scripts"], one["modules"]) == (["import_hf_equi.py"], ["import_hf_equi"])
    assert found["me/equi-lm"]["companion"] == type(tokenizer()).__name__
    assert found["me/equi-classifier"]["companion"] == "SymmetricViTImageProcessorPil"
    assert found["me/equi-siglip"]["companion"] == "SiglipProcessor"
    assert found[BY_NAME]["base"] == BASE
    weights = {path for _, path in hub.requests if path.endswith("/model.safetensors") and f"{BASE}/" in path}
    assert weights == {f"/{BASE}/resolve/{base_revision}/model.safetensors"}


@pytest.mark.slow
def test_after_import_the_auto_classes_load_it(shelf: Shelf, tmp_path: Path) -> None:
    shelf.hub.requests.clear()
    found = in_a_fresh_process(shelf, "imported", tmp_path)
    check_models(found, shelf.base_revision, shelf.hub)
    assert found["warnings"] == []
    assert not [path for _, path in shelf.hub.requests if path.endswith(".py")]


@pytest.mark.slow
def test_remote_code_imports_the_package_or_says_how_to_install_it(shelf: Shelf, tmp_path: Path) -> None:
    shelf.hub.requests.clear()
    found = in_a_fresh_process(shelf, "remote", tmp_path)
    assert "trust_remote_code=True" in found["without leave"]
    kind, _, message = found["not installed"].partition(": ")
    assert kind == "ImportError"
    assert "pip install hf_equi" in message
    assert "\n" not in message
    assert not found["imported before"]
    check_models(found, shelf.base_revision, shelf.hub)
    assert found["warnings"]
    assert all("import hf_equi" in message for message in found["warnings"])


def test_a_repository_without_weights_holds_none(shelf: Shelf) -> None:
    files = shelf.hub.repositories[BY_NAME].files()
    assert not [name for name in files if name.endswith((".safetensors", ".bin"))]
    config = json.loads(files["config.json"])
    assert (config["base_name"], config["base_revision"]) == (BASE, shelf.base_revision)
    assert sum(map(len, files.values())) < 100_000
