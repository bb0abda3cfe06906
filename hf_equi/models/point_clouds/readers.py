"""Point clouds and meshes from files: .off, .ply and .npy."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_equi.bases.reading import AGAIN, reading
from hf_equi.errors import ConfigurationError

__all__ = ["SUFFIXES", "Shape", "read_shape", "shape_of"]

SUFFIXES = (".npy", ".off", ".ply")


@dataclass(frozen=True)
class Shape:
    """A cloud of points, or a mesh.

    Args:
        points: `(n, 3)` points, or the corners of a mesh.
        faces: `(f, 3)` the corners of each triangle; `None` for a cloud.
    """

    points: np.ndarray
    faces: np.ndarray | None = None


def read_shape(path: str | os.PathLike[str]) -> Shape:
    """Read a file: `.npy` with an array `(n, 3)`, or `.off` or `.ply` with a mesh or with points, by trimesh.

    No pickle is read.

    Args:
        path: The file.

    Raises:
        ConfigurationError: For a file that does not exist, of another kind, that is damaged or has no points; without
            the extra `points`.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigurationError(f"{file} cannot be read: use one of {', '.join(SUFFIXES)}, or pass an array (n, 3)")
    if not file.is_file():
        raise ConfigurationError(f"{file} does not exist: name a file of the kind {suffix}")
    what = f"The file {file}"
    with reading(what, AGAIN):
        loaded = np.load(file, allow_pickle=False) if suffix == ".npy" else _load(file, suffix)
    if suffix == ".npy":
        return shape_of(loaded, what)
    faces = getattr(loaded, "faces", None)
    return shape_of(np.asarray(loaded.vertices), what, None if faces is None or not len(faces) else np.asarray(faces))


def shape_of(points: Any, what: str, faces: np.ndarray | None = None) -> Shape:
    """Return an array as a cloud, checked.

    Args:
        points: `(n, 3)` numbers: an array, a tensor, or nested lists.
        what: Where they are from, for messages.
        faces: The triangles of a mesh.

    Raises:
        ConfigurationError: For another shape, no points, NaN or infinity, or faces between corners that do not exist.
    """
    try:
        array = np.asarray(points.detach().cpu() if hasattr(points, "detach") else points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{what} does not hold points, (n, 3) numbers: {error}") from error
    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        raise ConfigurationError(
            f"{what} needs points of the shape (n, 3), one or more; received {array.shape}. Leave out normals and "
            "colours: points[:, :3]"
        )
    if not np.isfinite(array).all():
        raise ConfigurationError(f"{what} holds NaN or infinity")
    if faces is not None and (faces.min() < 0 or faces.max() >= len(array)):
        raise ConfigurationError(f"{what} has a face between corners that do not exist. {AGAIN}")
    return Shape(array, faces)


def _load(file: Path, suffix: str) -> Any:
    """Return what trimesh reads."""
    try:
        import trimesh  # noqa: PLC0415  an extra, needed for these files alone
    except ImportError as error:
        raise ConfigurationError(
            f"{suffix} files are read by trimesh: pip install 'hf_equi[points]', or convert them to .npy"
        ) from error
    loaded = trimesh.load(file, process=False)
    geometry = getattr(loaded, "geometry", None)
    if isinstance(geometry, dict):  # a scene, in which a file of this kind has one part
        if not geometry:
            raise ConfigurationError(f"The file {file} has no points. {AGAIN}")
        loaded = next(iter(geometry.values()))
    return loaded
