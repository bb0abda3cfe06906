"""Files of points: each kind, broken ones, and without trimesh."""

from __future__ import annotations

import builtins
import struct

import numpy as np
import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.models.point_clouds.readers import read_shape, shape_of

CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def write_off(path, header="OFF\n"):
    lines = [f"{len(CORNERS)} {len(FACES)} 0", *(" ".join(map(str, row)) for row in CORNERS)]
    lines += ["3 " + " ".join(map(str, row)) for row in FACES]
    path.write_text(header + "\n".join(lines) + "\n")
    return path


def write_ply(path, binary=False, faces=True):
    head = ["ply", f"format {'binary_little_endian' if binary else 'ascii'} 1.0", f"element vertex {len(CORNERS)}"]
    head += [f"property float {axis}" for axis in "xyz"]
    if faces:
        head += [f"element face {len(FACES)}", "property list uchar int vertex_indices"]
    text = "\n".join([*head, "end_header\n"]).encode()
    rows = FACES if faces else []
    if binary:
        text += CORNERS.astype("<f4").tobytes() + b"".join(struct.pack("<B3i", 3, *row) for row in rows)
    else:
        text += "".join(" ".join(map(str, row)) + "\n" for row in CORNERS).encode()
        text += "".join("3 " + " ".join(map(str, row)) + "\n" for row in rows).encode()
    path.write_bytes(text)
    return path


def test_meshes_and_clouds_are_read(tmp_path):
    for file in (
        write_off(tmp_path / "one.off"),
        write_off(tmp_path / "joined.off", header="OFF"),  # as some files of ModelNet40 begin
        write_ply(tmp_path / "text.ply"),
        write_ply(tmp_path / "binary.ply", binary=True),
    ):
        shape = read_shape(file)
        np.testing.assert_allclose(shape.points, CORNERS)
        assert shape.faces.tolist() == FACES.tolist()
    bare = read_shape(write_ply(tmp_path / "bare.ply", faces=False))
    np.testing.assert_allclose(bare.points, CORNERS)
    assert bare.faces is None
    np.save(tmp_path / "cloud.npy", CORNERS.astype(np.float32))
    np.testing.assert_allclose(read_shape(tmp_path / "cloud.npy").points, CORNERS)


def test_files_that_hold_no_points_are_refused_by_name(tmp_path):
    np.save(tmp_path / "flat.npy", CORNERS[:, :2])
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "lost.npy", np.where(CORNERS > 2, np.nan, CORNERS))
    np.save(tmp_path / "none.npy", CORNERS[:0])
    (tmp_path / "text.npy").write_text("points")
    (tmp_path / "broken.ply").write_bytes(write_ply(tmp_path / "whole.ply", binary=True).read_bytes()[:-20])
    (tmp_path / "empty.off").write_text("OFF\n0 0 0\n")
    (tmp_path / "no.ply").write_text("nothing")
    for name, message in (
        ("flat.npy", r"flat\.npy needs points of the shape \(n, 3\), one or more; received \(4, 2\)"),
        ("objects.npy", r"objects\.npy"),
        ("lost.npy", r"lost\.npy holds NaN or infinity"),
        ("none.npy", r"received \(0, 3\)"),
        ("text.npy", r"text\.npy"),
        ("broken.ply", r"broken\.ply"),
        ("empty.off", r"empty\.off"),
        ("no.ply", r"no\.ply"),
        ("missing.off", r"missing\.off does not exist"),
        ("cloud.xyz", r"cloud\.xyz cannot be read: use one of \.npy, \.off, \.ply"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            read_shape(tmp_path / name)


def test_arrays_are_checked():
    assert shape_of([[1, 2, 3]], "It").points.dtype == np.float64
    with pytest.raises(ConfigurationError, match="It does not hold points"):
        shape_of([["a", "b", "c"]], "It")
    with pytest.raises(ConfigurationError, match="It has a face between corners that do not exist"):
        shape_of(CORNERS, "It", FACES + 1)


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *given, **named):
        if name == "trimesh":
            raise ImportError(name)
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"pip install 'hf_equi\[points\]', or convert them to \.npy"):
        read_shape(write_off(tmp_path / "one.off"))
