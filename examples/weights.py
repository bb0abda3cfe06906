"""Keep trained weights in half precision, with a card, so that readers can check figures without training.

`examples/weights` holds one seed of what the examples train. `docs/reproduce.md` lists what is measured from it.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

WEIGHTS = Path(__file__).parent / "weights"


def keep_model(model: PreTrainedModel, folder: Path, card: str) -> None:
    """Store a model in half precision, to be loaded in single precision, beside its card.

    Args:
        model: The model. It stays as it is.
        folder: The folder to write.
        card: The text of the card, in Markdown. `make_card` makes one.
    """
    copy.deepcopy(model).half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = json.dumps({**config, "dtype": "float32"}, indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")


def keep_network(state: dict[str, torch.Tensor], path: Path) -> None:
    """Store the tensors of a small network in half precision, as one `*.safetensors` file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().half().contiguous() for name, tensor in state.items()}, path)


def load_network(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a small network, in single precision."""
    return {name: tensor.float() for name, tensor in load_file(path).items()}


def make_card(title: str, what: str, command: str, data: str, figures: str) -> str:
    """Return the card of stored weights.

    Args:
        title: The heading.
        what: What the network is: architecture, parameters, what it was trained for.
        command: The command that trained it.
        data: The data, with their source and licence.
        figures: What it reaches, and on what.
    """
    return f"""\
---
license: apache-2.0
library_name: transformers
---

# {title}

{what}

Stored in half precision and loaded in single precision. It serves to check the figures of hf_equi, and is too small
for anything else.

- **Trained by** `{command}`
- **Data:** {data}
- **Figures:** {figures}
"""
