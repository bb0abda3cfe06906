"""Pictures and their classes, from subfolders and from CSV files; what cannot be read is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_pictures import NAMES

from hf_equi.errors import ConfigurationError
from hf_equi.image_audit import read_pictures
from hf_equi.image_audit.pictures import load_picture


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_subfolders_are_classes(folder: Path) -> None:
    found = read_pictures(folder, NAMES)
    assert [(one.name, one.label) for one in found.pictures][:4] == [
        ("tench/0.png", 0),
        ("tench/2.png", 0),
        ("tench/4.png", 0),
        ("tiger_shark/1.png", 1),
    ]
    assert not found.unreadable


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_csv_names_classes_and_leaves_out_the_rest(folder: Path, tmp_path: Path, mark: str) -> None:
    rows = (("Label", "FILE"), ("3", "tench/0.png"), ('"tench, Tinca tinca"', "tiger_shark/1.png"))
    table = written(tmp_path / "labels.csv", "\ufeff" + "".join(f"{mark.join(row)}\r\n" for row in rows))
    found = read_pictures(folder, NAMES, table)
    assert [(one.name, one.label) for one in found.pictures] == [("tench/0.png", 3), ("tiger_shark/1.png", 0)]
    assert found.unlabelled == 4


def test_what_cannot_be_read_is_named_and_the_rest_is_kept(copy: Path) -> None:
    whole = (copy / "tench" / "0.png").read_bytes()
    (copy / "tench" / "0.png").write_bytes(whole[: len(whole) // 2])
    (copy / "tench" / "2.png").write_text("not a picture")
    found = read_pictures(copy, NAMES)
    assert len(found.pictures) == 4
    assert [(one.name, bool(one.reason)) for one in found.unreadable] == [("tench/0.png", True), ("tench/2.png", True)]
    for left in found.pictures:
        left.path.write_text("gone")
    with pytest.raises(ConfigurationError, match=r"None of the 6 images .* can be read; tench/0\.png: "):
        read_pictures(copy, NAMES)


def test_a_picture_is_upright_as_a_viewer_shows_it(tmp_path: Path) -> None:
    upright = np.random.default_rng(1).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    data = Image.Exif()
    data[0x0112] = 6  # to be turned clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "1.png", exif=data)
    assert np.array_equal(load_picture(tmp_path / "1.png"), upright)
    with pytest.raises(ConfigurationError, match="can no longer be read"):
        load_picture(tmp_path / "2.png")


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_of_grey_are_read_as_grey(tmp_path: Path, ending: str) -> None:
    grey = np.random.default_rng(1).integers(0, 256, (5, 4), dtype=np.uint8)
    (tmp_path / "tench").mkdir()
    Image.fromarray(grey.astype(np.uint16) * 257).save(path := tmp_path / "tench" / f"1.{ending}")
    assert np.array_equal(load_picture(path), np.stack([grey] * 3, 2))
    assert not read_pictures(tmp_path, NAMES).unreadable


@pytest.mark.parametrize("numbers", [np.int32, np.float32])
def test_numbers_without_a_white_are_not_guessed(copy: Path, numbers: type) -> None:
    Image.fromarray(np.full((5, 4), 1000, numbers)).save(copy / "tench" / "9.tif")
    (lost,) = read_pictures(copy, NAMES).unreadable
    assert lost.name == "tench/9.tif"
    assert "save it with 8 or 16 bits" in lost.reason


def test_a_picture_beside_the_subfolders_has_no_class(copy: Path) -> None:
    shutil.copy(copy / "tench" / "0.png", copy / "loose.png")
    found = read_pictures(copy, NAMES)
    assert (len(found.pictures), found.unlabelled) == (6, 1)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("file,label\ntench/0.png,shark\n", r"no class 'shark' \(1 of 1 labels, .*\)\. .*Name classes"),
        ("file,label\ntench/0.png,tiger sharc\n", r"Did you mean 'tiger shark'\?"),
        ("file,label\ntench/0.png,crane\n", "The model has several classes called 'crane'"),
        ("file,label\ntench/9.png,0\n", r"names 1 files that are not in .*: 'tench/9\.png'"),
        ("file,label\ntench/0.png,0\ntench/0.png,1\n", "twice, the second time in line 3"),
        ("file,label\ntench/0.png,\n", "Line 2 .* lacks a file or a label"),
        ("file,label\n", "names no images"),
        ("picture,kind\n", "a semicolon or a tab, but has picture, kind"),
        ("file|label\n", r"columns file and label, separated by a comma.*, but has file\|label"),
        ("", "but has none"),
    ],
)
def test_a_faulty_csv_is_refused(folder: Path, tmp_path: Path, rows: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        read_pictures(folder, NAMES, written(tmp_path / "labels.csv", rows))


def test_a_folder_without_pictures_or_classes_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"The image folder .* does not exist"):
        read_pictures(tmp_path / "none", NAMES)
    with pytest.raises(ConfigurationError, match="has no images: their names end with"):
        read_pictures(tmp_path, NAMES)
    shutil.copy(folder / "tench" / "0.png", tmp_path)
    table = written(tmp_path / "labels.csv", "")
    with pytest.raises(ConfigurationError, match=f"are not in subfolders.* To use the one there: --labels {table}"):
        read_pictures(tmp_path, NAMES)
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_pictures(tmp_path, NAMES, tmp_path / "other.csv")
    table.write_bytes(b"file,label\n\xff,0\n")
    with pytest.raises(ConfigurationError, match="not a CSV file in UTF-8"):
        read_pictures(tmp_path, NAMES, table)
