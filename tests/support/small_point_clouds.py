"""Networks of point clouds with a few channels, and clouds that are generic, padded or degenerate."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import leaky_relu

from hf_equi.bases.neighbours import gathered, nearest
from hf_equi.networks import (
    DGCNNConfig,
    DGCNNForPointCloudClassification,
    DGCNNForPointCloudSegmentation,
    DGCNNSegmentationConfig,
    NBodyNetwork,
    NBodyNetworkConfig,
    PointNetConfig,
    PointNetForPointCloudClassification,
    PointNetForPointCloudSegmentation,
    PointNetSegmentationConfig,
)

CLASSES, PARTS, CATEGORIES = 5, 4, 2
CLASSIFIERS = {
    "point_net": lambda **settings: PointNetForPointCloudClassification(
        PointNetConfig(num_labels=CLASSES, **{"channels": [8, 8, 16], "hidden_sizes": [8], **settings})
    ),
    "t_nets": lambda **settings: PointNetForPointCloudClassification(
        PointNetConfig(
            num_labels=CLASSES, **{"channels": [8, 8, 16], "hidden_sizes": [8], "transforms": True, **settings}
        )
    ),
    "dgcnn": lambda **settings: DGCNNForPointCloudClassification(
        DGCNNConfig(
            num_labels=CLASSES,
            **{"neighbours": 3, "channels": [8, 8], "feature_size": 16, "hidden_sizes": [16, 8], **settings},
        )
    ),
}
SEGMENTERS = {
    "point_net": lambda **settings: PointNetForPointCloudSegmentation(
        PointNetSegmentationConfig(
            num_labels=PARTS,
            **{
                "num_categories": CATEGORIES,
                "channels": [8, 8, 16],
                "hidden_sizes": [8],
                "transforms": True,
                **settings,
            },
        )
    ),
    "dgcnn": lambda **settings: DGCNNForPointCloudSegmentation(
        DGCNNSegmentationConfig(
            num_labels=PARTS,
            **{
                "num_categories": CATEGORIES,
                "neighbours": 3,
                "channels": [8, 8],
                "feature_size": 16,
                "hidden_sizes": [8, 8],
                **settings,
            },
        )
    ),
}


def lively(network: Any, seed: int = 0) -> Any:
    """A network that evaluates, whose norms and matrices are not those of a new one, so that they count."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator))
                module.bias.copy_(torch.randn(module.bias.shape, generator=generator))
                module.running_mean.copy_(0.3 * torch.randn(module.bias.shape, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(module.bias.shape, generator=generator))
            elif isinstance(module, nn.Linear) and module.in_features in (3, 6):  # what reads coordinates
                module.weight.mul_(3)
            elif type(module).__name__ == "SmallLinear":
                module.weight.copy_(0.1 * torch.randn(module.weight.shape, generator=generator))
    return network.eval()


def classifier(kind: str = "dgcnn", seed: int = 0, sure: float = 1.0, **settings: Any) -> Any:
    """A classifier of 5 classes, whose logits differ by about `sure`."""
    torch.manual_seed(seed)
    return _sure(lively(CLASSIFIERS[kind](**settings)), sure)


def segmenter(kind: str = "dgcnn", seed: int = 0, sure: float = 1.0, **settings: Any) -> Any:
    """A network of 4 parts and 2 categories, whose logits differ by about `sure`."""
    torch.manual_seed(seed)
    return _sure(lively(SEGMENTERS[kind](**settings)), sure)


@torch.no_grad()
def _sure(network: Any, sure: float) -> Any:
    """A network with larger logits."""
    (network.head[-1] if isinstance(network.head, nn.Sequential) else network.head).weight.mul_(sure)
    return network


def n_body(seed: int = 0, **settings: Any) -> NBodyNetwork:
    """A network of bodies, which predicts velocities too."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "predict_velocities": True}
    made = NBodyNetwork(NBodyNetworkConfig(**{**sizes, **settings})).eval()
    with torch.no_grad():  # so that bodies move far, and in no symmetric way
        made.embedding.weight.mul_(4)
        made.head[-1].weight.mul_(4)
    return made


def clouds(batch: int = 3, count: int = 12, seed: int = 1) -> torch.Tensor:
    """Generic clouds, longer in one direction than in another."""
    drawn = torch.randn(batch, count, 3, generator=torch.Generator().manual_seed(seed))
    return drawn * torch.tensor([1.5, 1.0, 0.6]) + 0.2


def padding(batch: int = 3, count: int = 12, least: int = 6) -> torch.Tensor:
    """A mask in which clouds differ in size."""
    sizes = torch.linspace(least, count, batch).round()
    return (torch.arange(count) < sizes[:, None]).long()


def systems(batch: int = 3, count: int = 5, seed: int = 1) -> dict[str, torch.Tensor]:
    """Bodies with velocities and charges."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "positions": torch.randn(batch, count, 3, generator=generator),
        "velocities": torch.randn(batch, count, 3, generator=generator),
        "charges": torch.randint(0, 2, (batch, count), generator=generator) * 2.0 - 1.0,
    }


def literal_edges(layer: Any, x: torch.Tensor, k: int) -> torch.Tensor:
    """An edge convolution as published: features of pairs, then the maximum."""
    near = gathered(x, nearest(x, None, k))
    own = x.unsqueeze(2).expand_as(near)
    pairs = leaky_relu(layer.norm(layer.linear(torch.cat([near - own, own], -1))), 0.2)
    return (pairs if layer.layers is None else layer.layers(pairs)).amax(2)
