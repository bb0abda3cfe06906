"""The cards of the checkpoints that come with the library, written by `python -m hf_equi.hub.demo_cards model_cards`.

The language model and the regard classifier were trained, so their cards are templates filled from the config and the
`training.json` beside their weights; the same text is the `README.md` of their folder. The symmetrised models are made
from that language model, so their cards are those that `convert` would write. If nothing has changed, the command
changes nothing: errors within the tolerance are given as that bound, and no date or machine is named.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub.constants import REPOCARD_NAME
from safetensors import safe_open
from transformers.utils import SAFE_WEIGHTS_NAME

from hf_equi.auto import DEMO, symmetrize
from hf_equi.bases.embedded import embedded_folder
from hf_equi.errors import HfEquiWarning
from hf_equi.generation import RegardScorer
from hf_equi.groups import DemographicGroup
from hf_equi.hub.cards import write_card
from hf_equi.models.cards.writing import render

__all__ = ["demo_cards", "main"]

_TRAINED = ("demo_lm", "demo_regard")
_ASSETS = embedded_folder("demo_lm").parent


def demo_cards() -> dict[str, str]:
    """Return the cards by the names of their files.

    Cost: a second or two: two small models are symmetrised and measured.
    """
    cards = {f"{name}.md": _trained(_ASSETS / name) for name in _TRAINED}
    group = DemographicGroup.preset("gender")
    with warnings.catch_warnings():  # about words that are not single tokens, which the cards list
        warnings.simplefilter("ignore", HfEquiWarning)
        models = {
            "demo_equi_lm.md": symmetrize(DEMO, group, multi_token="skip"),
            "demo_equizero_lm.md": symmetrize(DEMO, group, "equizero", multi_token="skip", scorer=RegardScorer(DEMO)),
        }
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models.items():
            cards[name] = write_card(model, Path(folder) / name).read_text(encoding="utf-8")
    return cards


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the cards to a folder, and those of the trained models also beside their weights.

    Args:
        arguments: The folder; by default that on the command line, or `model_cards`.
    """
    given = sys.argv[1:] if arguments is None else arguments
    folder = Path(given[0] if given else "model_cards")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in demo_cards().items():
        (folder / name).write_text(text, encoding="utf-8")
        if Path(name).stem in _TRAINED:
            (_ASSETS / Path(name).stem / REPOCARD_NAME).write_text(text, encoding="utf-8")


def _trained(folder: Path) -> str:
    config, training = (
        json.loads((folder / name).read_text(encoding="utf-8")) for name in ("config.json", "training.json")
    )
    with safe_open(folder / SAFE_WEIGHTS_NAME, framework="pt") as weights:  # the config may say what they were made in
        dtypes = {str(weights.get_tensor(name).dtype).removeprefix("torch.") for name in weights.keys()}  # noqa: SIM118
    return render(f"{folder.name}.md.j2", config=config, training=training, dtype=" and ".join(sorted(dtypes)))


if __name__ == "__main__":
    main()
