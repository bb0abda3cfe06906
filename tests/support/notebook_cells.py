"""Notebooks, run without Jupyter: the code of their cells is plain Python, and pictures are matplotlib's.

`python tests/support/notebook_cells.py` runs all of them and stores what they print and draw.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(path: Path) -> list[list[dict[str, Any]]]:
    """The outputs of each cell of code, as notebooks store them."""
    import matplotlib.pyplot as plt

    names: dict[str, Any] = {}
    outputs = []
    for number, cell in enumerate(code_cells(json.loads(path.read_text(encoding="utf-8")))):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), names)
        text = printed.getvalue().splitlines(keepends=True)
        streams = [{"name": "stdout", "output_type": "stream", "text": text}] if text else []
        outputs.append([*streams, *(_shown(plt.figure(number)) for number in plt.get_fignums())])
        plt.close("all")
    return outputs


def _shown(figure: Any) -> dict[str, Any]:
    """A figure as Jupyter stores it, in fewer colours."""
    from PIL import Image

    drawn, file = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=90, bbox_inches="tight")
    Image.open(drawn).convert("RGB").quantize(128).save(file, format="png", optimize=True)
    data = {"image/png": base64.b64encode(file.getvalue()).decode("ascii"), "text/plain": [repr(figure)]}
    return {"data": data, "metadata": {}, "output_type": "display_data"}


def write(path: Path) -> None:
    """Store what a notebook prints and draws."""
    outputs = run(path)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for count, (cell, shown) in enumerate(zip(code_cells(notebook), outputs, strict=True), 1):
        cell["execution_count"], cell["outputs"] = count, shown
    path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.update(MPLBACKEND="Agg", HF_HUB_OFFLINE="1")
    for found in NOTEBOOKS:
        write(found)
