from __future__ import annotations

from pathlib import Path

import small_sam

from hf_equi import ImageGroup


def test_the_card_says_what_moves_and_how_exactly(tmp_path: Path) -> None:
    text = small_sam.wrap("sam", ImageGroup.rotations(4), "equizero").make_card(tmp_path / "README.md")
    assert "pipeline_tag: mask-generation" in text
    assert "$M_G(gx, gp) = g M_G(x, p)$" in text
    assert "| this model | at most 1e-05 |" in text
    assert "AutoModelForMaskGeneration.from_pretrained" in text
    assert "S − 1 − x" in text
    assert "**No direction is left.**" not in text  # masks lie where the picture does
    assert not {"| level |", "| objective |"} & {line[:13] for line in text.splitlines()}
