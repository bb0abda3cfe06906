"""The example that loads a published canonicalizer for SAM, on a small random network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import sam_canonicalizer
from children import python_with_package

from hf_equi.actions import PixelAction
from hf_equi.testing import assert_canonicalizer


def test_the_network_follows_turns_and_masks_follow_it() -> None:
    network = sam_canonicalizer.PublishedNetwork(sam_canonicalizer.random_network()).eval()
    image = torch.rand(1, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    assert_canonicalizer(network, image, PixelAction(sam_canonicalizer.GROUP))
    rows = sam_canonicalizer.turn_back(network, image, torch.tensor([[[10.0, 20.0, 90.0, 70.0]]]))
    assert [(row[0] - rows[0][0]) % 4 for row in rows] == [0, 1, 2, 3]
    assert max(row[2] for row in rows) < 1e-5 < rows[0][3]
    assert "| 1 | 90° |" in sam_canonicalizer.section([rows])


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    command = [python_with_package(), sam_canonicalizer.__file__, "--equiadapt", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "unpack equiadapt 0.1.2" in done.stderr
