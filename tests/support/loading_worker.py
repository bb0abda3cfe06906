"""Load models of a hub in a process of its own, and say whether they give the expected logits to the bit.

    python loading_worker.py imported|remote FOLDER

`FOLDER/models.json` says which repositories, `FOLDER/<number>.safetensors` hold inputs and logits, and what was found
is written to stdout, in the last line. `imported` imports hf_equi first. `remote` lets the Auto classes run the module
that is in the repository, first as where hf_equi is not installed, then as it is. All models are saved
again once they are loaded.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any


class _Absent(MetaPathFinder):
    """Finds no hf_equi, as a machine without it."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        if name.split(".", maxsplit=1)[0] == "hf_equi":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def load(auto_class: str, repository: str, **settings: Any) -> Any:
    import transformers

    return getattr(transformers, auto_class).from_pretrained(repository, **settings)


def compare(model: Any, path: Path) -> bool:
    import torch
    from safetensors.torch import load_file

    tensors = load_file(path)
    logits = tensors.pop("logits")
    with torch.no_grad():
        return torch.equal(scores(model(**tensors)), logits)


def scores(output: Any) -> Any:
    """Of an output, what a model of its kind gives: logits, or those of images over texts."""
    return output.logits_per_image if hasattr(output, "logits_per_image") else output.logits


def describe(model: Any, path: Path) -> dict[str, Any]:
    """What came of one repository."""
    companion = getattr(model, "processor", None) or getattr(model, "tokenizer", None)
    return {
        "class": f"{type(model).__module__}.{type(model).__name__}",
        "equal": compare(model, path),
        "companion": type(companion).__name__,
        "base": model.config.base_name,
    }


def code_of(model: Any) -> dict[str, list[str]]:
    """The code that a save of the model brings, and what its config names of it."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        scripts = [path.name for path in Path(folder).rglob("*.py")]
    return {"scripts": scripts, "modules": sorted({name.partition(".")[0] for name in config["auto_map"].values()})}


def refused(auto_class: str, repository: str, **settings: Any) -> str:
    """The error that loading gives."""
    try:
        load(auto_class, repository, **settings)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "loaded"


def main(how: str, folder: Path) -> dict[str, Any]:
    models: dict[str, str] = json.loads((folder / "models.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    if how == "imported":
        import hf_equi  # noqa: F401
    else:
        settings["trust_remote_code"] = True
        name, auto_class = next(iter(models.items()))
        sys.meta_path.insert(0, absent := _Absent())
        found["without leave"] = refused(auto_class, name)
        found["not installed"] = refused(auto_class, name, **settings)
        sys.meta_path.remove(absent)
    found["imported before"] = "hf_equi" in sys.modules
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = {name: load(auto_class, name, **settings) for name, auto_class in models.items()}
        for number, (name, model) in enumerate(loaded.items()):
            found[name] = describe(model, folder / f"{number}.safetensors") | code_of(model)
    found["warnings"] = [str(one.message) for one in caught if "hf_equi" in str(one.message)]
    return found


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
