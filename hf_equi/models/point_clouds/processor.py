"""PointCloudProcessor: files and arrays to clouds of one size, centred and scaled."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from transformers import BatchFeature
from transformers.feature_extraction_utils import FeatureExtractionMixin

from hf_equi.checks import check_choice, check_count
from hf_equi.errors import ConfigurationError
from hf_equi.models.point_clouds.readers import Shape, read_shape, shape_of

__all__ = ["SAMPLINGS", "PointCloudProcessor"]

SAMPLINGS = ("random", "first")


class PointCloudProcessor(FeatureExtractionMixin):
    r"""A feature extractor for point clouds: sampling, centring, scaling and padding.

    $$ x_i \mapsto \frac{x_i - c}{\max_j \lVert x_j - c \rVert}, \qquad c = \frac{1}{n} \sum_j x_j $$

    Each step commutes with rotations and mirrors: the same points are sampled however a cloud is turned.

    Args:
        num_points (`int`, *optional*, defaults to 1024):
            How many points are sampled; a smaller cloud is padded. `None` for all points.
        sampling (`str`, *optional*, defaults to `"random"`):
            `"random"`: points of a cloud without repetition, and of a mesh uniformly by area. `"first"`: the first
            points of a cloud, or corners of a mesh.
        seed (`int`, *optional*, defaults to 0):
            The seed of sampling. The points of a cloud do not depend on the others in the batch.
        centre (`bool`, *optional*, defaults to `True`):
            Whether the mean of the points is subtracted.
        scale (`bool`, *optional*, defaults to `True`):
            Whether coordinates are divided by the largest distance from the mean, or from the origin without `centre`.

    Raises:
        ConfigurationError: For another sampling, less than one point, or a seed that is not a whole number.

    Example:
        >>> import numpy as np
        >>> processor = PointCloudProcessor(num_points=4)
        >>> read = processor([np.random.rand(10, 3), np.random.rand(3, 3)], return_tensors="pt")
        >>> read["points"].shape, read["mask"].tolist()
        (torch.Size([2, 4, 3]), [[1, 1, 1, 1], [1, 1, 1, 0]])
    """

    model_input_names: ClassVar[list[str]] = ["points", "mask"]

    def __init__(
        self,
        num_points: int | None = 1024,
        sampling: str = "random",
        seed: int = 0,
        centre: bool = True,
        scale: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        if num_points is not None:
            check_count("num_points", num_points, "number of points", ", or None for all")
        check_choice("sampling", sampling, SAMPLINGS)
        check_count("seed", seed, "seed", least=0)
        self.num_points = num_points
        self.sampling = sampling
        self.seed = seed
        self.centre = centre
        self.scale = scale

    def __call__(self, clouds: Any, return_tensors: str | None = None, seed: int | None = None) -> BatchFeature:
        """Return clouds as a batch.

        Args:
            clouds: Files (`.npy`, `.off`, `.ply`), arrays or tensors `(n, 3)`: a list of them, or one.
            return_tensors: `"pt"` or `"np"`, as in transformers.
            seed: The seed of sampling, for this call.

        Returns:
            `points` `(B, N, 3)` in float32; `mask` `(B, N)` if clouds differ in size; `centre` `(B, 3)` and `scale`
            `(B,)`, with which `original` undoes both.

        Raises:
            ConfigurationError: For files that cannot be read, clouds of another shape, without points, with NaN, or
                whose points are all equal if they are to be scaled; if there are none.
        """
        if seed is not None:
            check_count("seed", seed, "seed", least=0)
        shapes = [_shape(cloud, place) for place, cloud in enumerate(_listed(clouds))]
        rows, centres, scales = [], [], []
        for place, shape in enumerate(shapes):
            points = self._sampled(shape, self.seed if seed is None else seed)
            centre = points.mean(0) if self.centre else np.zeros(3)
            scale = float(np.linalg.norm(points - centre, axis=1).max()) if self.scale else 1.0
            if scale == 0:
                raise ConfigurationError(
                    f"The points of cloud {place} are all equal, so it has no size to scale by: leave it out, or use "
                    "scale=False"
                )
            rows.append((points - centre) / scale)
            centres.append(centre)
            scales.append(scale)
        longest = max(len(row) for row in rows)
        read = {
            "points": np.stack([np.pad(row, ((0, longest - len(row)), (0, 0))) for row in rows]).astype(np.float32),
            "centre": np.stack(centres),
            "scale": np.array(scales),
        }
        if any(len(row) < longest for row in rows):
            read["mask"] = np.stack([np.arange(longest) < len(row) for row in rows]).astype(np.int64)
        return BatchFeature(read, tensor_type=return_tensors)

    @staticmethod
    def original(read: BatchFeature) -> list[np.ndarray]:
        """Return the points of a batch where they were: without padding, neither centred nor scaled.

        Args:
            read: What a call returned.

        Example:
            >>> processor = PointCloudProcessor(num_points=None)
            >>> processor.original(processor([[[1, 2, 3], [3, 2, 3]]]))[0].tolist()
            [[1.0, 2.0, 3.0], [3.0, 2.0, 3.0]]
        """
        points, centre, scale = (np.asarray(read[name], np.float64) for name in ("points", "centre", "scale"))
        found = list(points * scale[:, None, None] + centre[:, None])
        if "mask" not in read:
            return found
        return [cloud[: int(kept.sum())] for cloud, kept in zip(found, np.asarray(read["mask"]), strict=True)]

    def _sampled(self, shape: Shape, seed: int) -> np.ndarray:
        """Return some points of a shape."""
        count, points = self.num_points, shape.points
        if self.sampling == "first":
            return points[:count]
        draws = np.random.default_rng(seed)
        if shape.faces is not None:
            return _on_faces(points, shape.faces, len(points) if count is None else count, draws)
        if count is None or len(points) <= count:
            return points
        return points[np.sort(draws.permutation(len(points))[:count])]


def _listed(clouds: Any) -> list[Any]:
    """Return several clouds."""
    one = isinstance(clouds, str | os.PathLike) or getattr(clouds, "ndim", 3) == 2
    listed = [clouds] if one else list(clouds) if isinstance(clouds, Sequence) or hasattr(clouds, "ndim") else None
    if not listed:
        raise ConfigurationError(f"clouds={clouds!r}: pass files or arrays (n, 3), one or more")
    return listed


def _shape(cloud: Any, place: int) -> Shape:
    return read_shape(cloud) if isinstance(cloud, str | os.PathLike) else shape_of(cloud, f"Cloud {place}")


def _on_faces(points: np.ndarray, faces: np.ndarray, count: int, draws: np.random.Generator) -> np.ndarray:
    """Return uniform points on the triangles of a mesh, `(count, 3)`."""
    corners = points[faces]  # (f, 3, 3)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    total = areas.sum()
    if not total:
        raise ConfigurationError(
            "The faces of a mesh have no area, so no points can be sampled on them: use its corners"
        )
    chosen = corners[
        np.searchsorted(areas.cumsum() / total, draws.random(count), side="right").clip(max=len(faces) - 1)
    ]
    u, v = draws.random((2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    found: np.ndarray = chosen[:, 0] + u * (chosen[:, 1] - chosen[:, 0]) + v * (chosen[:, 2] - chosen[:, 0])
    return found
