"""Features of orbits, computed once: then training λ costs as much as training a small network."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from datasets import Array2D, Dataset, Features, Image

from hf_equi.errors import ConfigurationError
from hf_equi.models.vision.model import EquiVisionModel
from hf_equi.models.vision.probing import feature_size

__all__ = ["FEATURES_COLUMN", "cache_features"]

FEATURES_COLUMN = "orbit_features"
"""The column of features, which is also the name of the models' argument."""


def cache_features(model: Any, dataset: Dataset, *, column: str = "pixel_values", batch_size: int = 32) -> Dataset:
    """Run the frozen base on the orbits of all images of a dataset, and store the features in place of the images.

    The cache of `datasets` identifies the result by the dataset, the weights of the base and the group. So it is
    computed once for a dataset on disk, and at every call for one in memory. Random augmentations are drawn once. The
    features belong to the current weights of the base: train λ on them, but not the base.

    Args:
        model: A symmetrised model of images whose base is frozen, as `Phase.applied` leaves it for a phase that trains
            λ.
        dataset: A dataset with a column of image tensors `(channels, height, width)` of the same size, or a transform
            that makes one.
        column: The name of that column.
        batch_size: The number of images to read at once.

    Returns:
        The dataset without its images, with a column `orbit_features`, `(group, features)` each, in float32 and in
        the format of torch.

    Raises:
        ConfigurationError: For anything but a dataset with that column; for pictures that no processor has read, such
            as those of an `Image` column; if the base is trained; for a level or method that does not combine features
            of all members; for λ on a frozen copy that differs from the base.

        Cost: one base forward for each distinct member of each orbit; |G|·F·4 bytes on disk for each image.
    """
    _check_model(model)
    size = _check_dataset(model, dataset, column)

    def read(batch: dict[str, Any]) -> dict[str, Any]:
        images = torch.stack([torch.as_tensor(image) for image in batch[column]])
        images = images.to(model.device, model.base.dtype)
        with torch.no_grad():
            return {FEATURES_COLUMN: model.get_orbit_features(images).float().cpu().numpy()}

    dropped = [name for name, kind in dataset.features.items() if name == column or isinstance(kind, Image)]
    kept = {name: kind for name, kind in dataset.features.items() if name not in dropped}
    features = Features({**kept, FEATURES_COLUMN: Array2D((model.group.order, size), "float32")})
    transformed = dataset.format["type"] == "custom"
    mode = model.training
    model.eval()
    try:
        cached = (dataset if transformed else dataset.with_format("torch")).map(
            read,
            batched=True,
            batch_size=batch_size,
            remove_columns=dropped,
            features=features,
            new_fingerprint=_fingerprint(model, dataset, column),
            desc="Features of orbits",
        )
    finally:
        model.train(mode)
    return cached.with_format("torch")


def _check_model(model: Any) -> None:
    if not isinstance(model, EquiVisionModel):
        raise ConfigurationError(
            f"A {type(model).__name__} has no features of orbits: pass a model of images from hf_equi.symmetrize"
        )
    wrapped: Any = model
    if any(parameter.requires_grad for parameter in wrapped.base.parameters()):
        raise ConfigurationError(
            "The base is trained, so its features change from step to step: cache them with a frozen base, inside "
            "`with phase.applied(model)` for a phase that trains 'lambda'"
        )
    if wrapped.config.create_level().reads_maps:
        raise ConfigurationError(
            "The spatial level combines feature maps, but a cache holds features: use level='features', or train on "
            "pixel_values"
        )
    if wrapped.method.selects_one:
        raise ConfigurationError(
            f"method={wrapped.config.method!r} reads one member of each orbit: there are no orbits to cache"
        )
    if wrapped.method.select.has_network:
        raise ConfigurationError(
            f"method={wrapped.config.method!r} selects members by the images, which a cache of features does not "
            "contain: train on pixel_values"
        )
    frozen = getattr(wrapped, "frozen_base", None)
    if frozen is not None and not _equal(frozen, wrapped.base):
        raise ConfigurationError(
            "lambda_features='frozen' reads features from a copy, and the base has been trained since the copy was "
            "made, so one set of features cannot serve both. Train on pixel_values, or use lambda_features='shared'."
        )


def _check_dataset(model: Any, dataset: Any, column: str) -> int:
    """Check the dataset, and return the number of features."""
    if not isinstance(dataset, Dataset):
        raise ConfigurationError(
            f"Only a datasets.Dataset can be cached, one split at a time; received a {type(dataset).__name__}"
        )
    if len(dataset) == 0 or column not in dataset[0]:
        columns = ", ".join(map(repr, dataset[0])) if len(dataset) else "no rows"
        raise ConfigurationError(
            f"The dataset has no images in a column {column!r}, but {columns}: name the column with column=, or make "
            "it with dataset.with_transform"
        )
    if not _is_prepared(dataset[0][column]):
        raise ConfigurationError(
            f"The column {column!r} holds unprocessed pictures, but a model reads the output of its processor: "
            f"dataset.with_transform(lambda batch: processor([image.convert('RGB') for image in batch[{column!r}]], "
            "return_tensors='pt')), with column='pixel_values'"
        )
    return feature_size(model._cut, model.base)


def _is_prepared(image: Any) -> bool:
    """Return whether an image holds numbers as models read them, and is not a picture or its values from 0 to 255."""
    try:
        return torch.as_tensor(image).is_floating_point()
    except (TypeError, ValueError, RuntimeError):
        return False


def _equal(copy: torch.nn.Module, base: torch.nn.Module) -> bool:
    """Return whether two models have the same weights and buffers."""
    ours, theirs = copy.state_dict(), base.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def _fingerprint(model: Any, dataset: Dataset, column: str) -> str:
    """Return a hash of everything that the features depend on."""
    settings = [dataset._fingerprint, model.config.to_dict()["group"], model.config.padding, column]
    texts = [json.dumps(settings, sort_keys=True), model.base.config.to_json_string(use_diff=False)]
    digest = hashlib.blake2b("".join(texts).encode(), digest_size=16)
    for name, tensor in model.base.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
