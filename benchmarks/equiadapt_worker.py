"""Time equiadapt 0.1.2 and measure its errors on request: a JSON object a line in, one a line out.

`canonicalization.py --equiadapt DIR` runs this file with the Python of another environment:

    python -m venv DIR
    DIR/bin/python -m pip install torch==2.13.0 'numpy<2' scipy kornia hydra-core pillow transformers
    DIR/bin/python -m pip install --no-deps equiadapt==0.1.2 e2cnn==0.2.3 torchvision==0.28.0

e2cnn, which equiadapt's networks consist of, fails with numpy 2. torchvision is the release that belongs to torch:
0.28.0 to 2.13.0. With its dependencies, pip would install another torch. Of torchvision, equiadapt only uses
transforms of tensors here, which are written in Python, so a torchvision whose compiled part does not fit will do.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any

import torch
from canonical_errors import Canonical, errors
from torch import Tensor, nn

PACKAGES = ("equiadapt", "e2cnn", "kornia", "torchvision", "numpy", "torch", "transformers")
OPERATORS = ("nms", "qnms")
"""What torchvision describes to torch when it is imported, though it is defined in the compiled part."""


def import_torchvision() -> Any:
    """Import torchvision, even if its compiled part was built for another torch, such as one with CUDA.

    Returns:
        What has to be kept for as long as it is used.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        operators = torch.library.Library("torchvision", "FRAGMENT")
        for name in OPERATORS:
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        return importlib.import_module("torchvision"), operators


class Worker:
    """Answers requests.

    Args:
        threads: Threads of torch.
        seed: The seed of weights and images.
        batch: The number of images.
        side: Their height and width.
        config: The configuration of the base, as transformers stores it.
        crop: The share of height and width in the middle that networks see.
        resize: The side that this is resized to.
    """

    def __init__(
        self, threads: int, seed: int, batch: int, side: int, config: dict[str, Any], crop: float, resize: int
    ) -> None:
        torch.set_num_threads(threads)
        self.torchvision = import_torchvision()
        self.seed, self.config, self.side = seed, config, side
        self.settings = {"beta": 1.0, "input_crop_ratio": crop, "resize_shape": resize}
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.randn(batch, 3, side, side, generator=generator)
        self.canonicalizer = cache(self._canonicalizer)

    def seconds(self, base: bool, **network: Any) -> float:
        """Return the seconds of CPU time to canonicalize the images, and to run the base on them if asked to."""
        canonicalizer = self.canonicalizer(**network)
        with torch.no_grad():
            start = time.process_time()
            images = canonicalizer.canonicalize(self.images)
            if base:
                self.base(images)
            return time.process_time() - start

    def errors(self, count: int, **network: Any) -> dict[str, float]:
        """Return the errors of a canonicalizer on some images."""
        canonicalizer = self.canonicalizer(**network)

        def back(answer: Tensor) -> Tensor:
            return canonicalizer.invert_canonicalization(answer, induced_rep_type="scalar")

        canonical: Canonical = lambda x: (canonicalizer.canonicalize(x), back)  # noqa: E731
        return errors(canonical, self.images[:count], network["mirrors"])

    def weights(self, **network: Any) -> int:
        """Return the number of weights of a network."""
        return sum(weight.numel() for weight in self.canonicalizer(**network).parameters())

    def versions(self) -> dict[str, str]:
        """Return the releases of this environment."""
        return {name: version(name) for name in PACKAGES}

    @cached_property
    def base(self) -> nn.Module:
        """A base of the same shape as that of the other side."""
        from transformers import AutoConfig, AutoModelForImageClassification

        torch.manual_seed(self.seed)
        return AutoModelForImageClassification.from_config(AutoConfig.for_model(**self.config)).eval()

    def _canonicalizer(self, kind: str, mirrors: bool, channels: int, layers: int, kernel: int) -> nn.Module:
        """Return a canonicalizer; `kind` is `"e2cnn"`, or `"own"` for the layers of equiadapt itself."""
        from equiadapt import CustomEquivariantNetwork, ESCNNEquivariantNetwork, GroupEquivariantImageCanonicalization
        from omegaconf import OmegaConf

        torch.manual_seed(self.seed)
        group = "roto-reflection" if mirrors else "rotation"
        side = self.settings["resize_shape"]
        sizes = {"group_type": group, "num_rotations": 4, "num_layers": layers}
        if kind == "e2cnn":
            network = ESCNNEquivariantNetwork((3, side, side), channels, kernel, **sizes)
        else:
            network = CustomEquivariantNetwork((3, side, side), channels, kernel, **sizes, device="cpu")
            network.group_type, network.num_rotations = (
                group,
                4,
            )  # the canonicalizer asks for them, and they are missing
        settings = OmegaConf.create(self.settings)
        return GroupEquivariantImageCanonicalization(network, settings, (3, self.side, self.side)).eval()


def main() -> None:
    """Answer each line of standard input. The first one holds the arguments of `Worker`."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is not an answer
    worker = Worker(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(worker, request.pop("ask"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
