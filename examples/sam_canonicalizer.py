"""Load a published canonicalization network for SAM, and turn two photos back with it.

    pip download --no-deps equiadapt==0.1.2 && python -m zipfile -e equiadapt-0.1.2-py3-none-any.whl equiadapt
    python examples/sam_canonicalizer.py --equiadapt equiadapt --page docs/results/segmentation.md

The package equiadapt (MIT) ships a wide residual network of C4, trained on COCO by the prior alone (arXiv 2310.01647),
and two photos with boxes. Its filters are stored as plain convolutions use them, so neither equiadapt nor e2cnn is
needed. The photos are turned by 0°, 90°, 180° and 270°. `--smoke` takes a small random network and a random image.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from machine import describe, machine
from torch import Tensor
from torch.nn import functional as F
from transformers import SamConfig, SamModel

from hf_equi import ImageGroup, symmetrize
from hf_equi.actions import ImageBoxAction
from hf_equi.canonicalization import FiniteCanonicalizer

GROUP = ImageGroup.rotations(4)
FOLDER = Path("tutorials", "images", "utils")
WEIGHTS, PHOTOS = "equivariant_wrn_c4.pt", "sample_data.pt"
CROP, SEEN = 0.9, 128
MARKER = "<!-- examples/sam_canonicalizer.py writes what follows, up to the next marker -->"
END = "<!-- end of examples/sam_canonicalizer.py -->"


class PublishedNetwork(FiniteCanonicalizer):
    """The wide residual network of equiadapt: channels are fields of four numbers, one for each turn.

    Args:
        weights: Its state dict, with expanded filters.
    """

    equivariant = True  # by its filters
    group = GROUP

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        kept = (".filter", ".expanded_bias", ".weight", ".bias", ".running_mean", ".running_var")
        self.names = {name: name.replace(".", "_").replace("[4]", "4") for name in weights if name.endswith(kept)}
        for name, own in self.names.items():
            self.register_buffer(own, weights[name])

    def scores(self, x: Tensor) -> Tensor:
        """Return the mean activation of each turn, `(B, 4)`."""
        edge = int((1 - CROP) * x.shape[-1] / 2)  # on both sides alike
        side = x.shape[-1] - 2 * edge
        x = x[..., edge : edge + side, edge : edge + side]
        x = F.interpolate(x, (SEEN, SEEN), mode="bilinear", antialias=True)
        x = self._activated(self._convolved(x, "eqv_network.0"), "eqv_network.1")
        place = 3
        while self._get(f"eqv_network.{place}.filter") is None:
            x = self._activated(self._block(x, f"eqv_network.{place}"), f"eqv_network.{place + 1}")
            place += 3
        return self._convolved(x, f"eqv_network.{place}").unflatten(1, (-1, 4)).mean((1, 3, 4))

    def _get(self, name: str) -> Any:
        return getattr(self, self.names[name]) if name in self.names else None

    def _convolved(self, x: Tensor, name: str, padding: int = 0) -> Tensor:
        return F.conv2d(x, self._get(f"{name}.filter"), self._get(f"{name}.expanded_bias"), padding=padding)

    def _activated(self, x: Tensor, name: str) -> Tensor:
        """Normalise each field as one channel, then cut negative values off."""
        names = ("running_mean", "running_var", "weight", "bias")
        each = [self._get(f"{name}.batch_norm_[4].{part}").repeat_interleave(4) for part in names]
        return F.batch_norm(x, *each).relu()

    def _block(self, x: Tensor, name: str) -> Tensor:
        inner = f"{name}.conv_network"
        y = self._activated(self._convolved(x, f"{inner}.0"), f"{inner}.1")
        if self._get(f"{name}.shortcut.0.filter") is not None:
            return self._convolved(y, f"{inner}.3") + self._convolved(x, f"{name}.shortcut.0")
        y = self._convolved(y, f"{inner}.3", padding=2)
        return self._convolved(self._activated(y, f"{inner}.4"), f"{inner}.6") + x


def random_network() -> dict[str, Tensor]:
    """Return the weights of a network of two fields, whose filters turn along as trained ones do."""
    draw = torch.Generator().manual_seed(0)

    def filters(fields: int, side: int, lifts: bool = False) -> Tensor:
        seen = torch.randn(2, 3 if lifts else 2 * 4, side, side, generator=draw) / side
        rows = [seen.rot90(g, (2, 3)) for g in range(4)]
        if not lifts:  # the numbers of a field move along with the filter
            rows = [row.unflatten(1, (2, 4)).roll(g, 2).flatten(1, 2) for g, row in enumerate(rows)]
        return torch.stack(rows, 1).flatten(0, 1)

    made = {"eqv_network.0": filters(2, 5, lifts=True), "eqv_network.6": filters(2, 5)}
    made |= {f"eqv_network.3.conv_network.{place}": filters(2, side) for place, side in ((0, 1), (3, 5), (6, 1))}
    weights = {f"{name}.filter": value for name, value in made.items()}
    weights |= {f"{name}.expanded_bias": torch.zeros(8) for name in made}
    for name in ("eqv_network.1", "eqv_network.3.conv_network.1", "eqv_network.3.conv_network.4", "eqv_network.4"):
        for part, value in {"running_mean": 0.0, "running_var": 1.0, "weight": 1.0, "bias": 0.1}.items():
            weights[f"{name}.batch_norm_[4].{part}"] = torch.full((2,), value)
    return weights


@torch.no_grad()
def small_sam(side: int) -> SamModel:
    """Return a SAM with random weights, to see that masks follow."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = {**sizes, "image_size": side, "output_channels": 32, "num_pos_feats": 16, "mlp_dim": 32}
    prompts = {"hidden_size": 32, "image_size": side, "image_embedding_size": side // 16}
    decoder = {**sizes, "mlp_dim": 32, "iou_head_hidden_dim": 32}
    config = SamConfig(
        vision_config={**vision, "window_size": 4, "global_attn_indexes": []},
        prompt_encoder_config=prompts,
        mask_decoder_config=decoder,
    )
    model = SamModel(config).eval()
    for weight in model.parameters():  # as models are initialised, their logits hardly differ from 0
        if weight.dim() > 1:
            weight.normal_(std=0.2)
    return model


@torch.no_grad()
def turn_back(network: PublishedNetwork, photo: Tensor, boxes: Tensor) -> list[tuple[int, float, float, float]]:
    """Return for each turn the element, its margin, how far masks lie apart, and their largest logit."""
    side = photo.shape[-1]
    model = symmetrize(small_sam(side), GROUP, "canonical", canonicalizer=network).eval()
    action, rows, upright = ImageBoxAction(GROUP, (side - 1, side - 1)), [], None
    for g in range(GROUP.order):
        out = model(model.action.apply(g, photo), input_boxes=action.apply(g, boxes))
        masks = model.action.invert(g, out.pred_masks.flatten(1, 2))
        upright = masks if upright is None else upright
        apart, most = float((masks - upright).abs().max()), float(masks.abs().max())
        rows.append((int(out.canonical_element), float(out.margin), apart, most))
        print(f"turned by {90 * g:>3}°: {90 * rows[-1][0]:>3}°, margin {rows[-1][1]:.2f}", flush=True)
    return rows


def section(tables: list[list[tuple[int, float, float, float]]]) -> str:
    """Return the section of the page."""
    names = (
        "photo",
        "turned by",
        "element named",
        "margin of its score",
        "mask logits: largest difference",
        "largest",
    )
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for number, rows in enumerate(tables, 1):
        for g, (h, margin, apart, most) in enumerate(rows):
            lines.append(f"| {number} | {90 * g}° | {90 * h}° | {margin:.2f} | {apart:.0e} | {most:.1f} |")
    right = sum(g == row[0] for rows in tables for g, row in enumerate(rows))
    total = sum(map(len, tables))
    described = describe([{"machine": machine()}])
    return "\n".join([*lines, "", f"The angle was given back in {right} of {total} cases. {described}"])


def main() -> None:
    """Turn photos, ask the network, and write the section."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=summary, epilog=details, formatter_class=kind)
    parser.add_argument(
        "--equiadapt", type=Path, default=Path("equiadapt"), metavar="DIR", help="the unpacked package"
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="page whose section is written")
    parser.add_argument("--smoke", action="store_true", help="a small random network, without the package")
    arguments = parser.parse_args()
    if arguments.smoke:
        image, box = torch.rand(1, 3, 192, 192), torch.tensor([[[10.0, 20.0, 90.0, 70.0]]])
        turn_back(PublishedNetwork(random_network()).eval(), image, box)
        return
    folder = arguments.equiadapt / FOLDER
    if missing := [name for name in (WEIGHTS, PHOTOS) if not (folder / name).is_file()]:
        sys.exit(
            f"sam_canonicalizer.py: error: {folder} lacks {', '.join(missing)}: unpack equiadapt 0.1.2 (see --help)"
        )
    network = PublishedNetwork(torch.load(folder / WEIGHTS, weights_only=True, map_location="cpu")).eval()
    photos, targets = torch.load(folder / PHOTOS, weights_only=True)
    tables = [turn_back(network, x[None], one["boxes"][None]) for x, one in zip(photos, targets, strict=True)]
    if arguments.page is not None:
        before, _, rest = arguments.page.read_text(encoding="utf-8").partition(MARKER)
        after = rest.partition(END)[2]
        page = f"{before}{MARKER}\n\n{section(tables)}\n\n{END}{after}"
        arguments.page.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
