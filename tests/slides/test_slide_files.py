"""The files that a slide consists of."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.slides.formats.dicom_series import Instance, read_instance
from glandseg.slides.slide_files import (
    check_unchanged,
    find_repeats,
    hash_slide,
    list_slide_files,
    read_state,
)

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
SEQUENCE = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
UNDEFINED = 0xFFFFFFFF


def pack(tag: tuple[int, int], kind: bytes, value: bytes, syntax: str = EXPLICIT) -> bytes:
    order = ">" if syntax == BIG else "<"
    head = struct.pack(f"{order}HH", *tag)
    if syntax == IMPLICIT:
        return head + struct.pack("<I", len(value)) + value
    return head + kind + struct.pack(f"{order}H", len(value)) + value


def pack_open_sequence(syntax: str) -> bytes:
    """Build a sequence and an item without stated lengths, a further sequence within."""
    order = ">" if syntax == BIG else "<"
    item, item_end, end = (struct.pack(f"{order}HH", *tag) for tag in SEQUENCE)
    zero, open_ended = struct.pack(f"{order}I", 0), struct.pack(f"{order}I", UNDEFINED)
    kind = b"" if syntax == IMPLICIT else b"SQ\0\0"
    inner = struct.pack(f"{order}HH", 8, 0x1199) + kind + open_ended + item + zero + end + zero
    outer = struct.pack(f"{order}HH", 8, 0x1115) + kind + open_ended + item + open_ended
    return outer + pack((8, 0x1150), b"UI", b"1.2\0", syntax) + inner + item_end + zero + end + zero


def write_instance(path: Path, uid: str, kind: str = "VOLUME", syntax: str = EXPLICIT) -> Path:
    """Write the first elements of an instance; `path`'s name makes its bytes its own."""
    padded = uid.encode() + b"\0" * (len(uid) % 2)
    meta = pack((2, 0x10), b"UI", syntax.encode() + b"\0" * (len(syntax) % 2))
    kinds = f"ORIGINAL\\PRIMARY\\{kind}\\NONE"
    data = pack((8, 8), b"CS", (kinds + " " * (len(kinds) % 2)).encode(), syntax)
    data += pack_open_sequence(syntax) + pack((0x20, 0xE), b"UI", padded, syntax)
    path.write_bytes(bytes(128) + b"DICM" + meta + data + path.name.encode())
    return path


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
@pytest.mark.parametrize("kind", ["VOLUME", "LABEL"])
def test_the_series_of_an_instance(tmp_path: Path, syntax: str, kind: str) -> None:
    path = write_instance(tmp_path / "a.dcm", "1.2.3", kind, syntax)
    assert read_instance(path) == Instance("1.2.3", kind == "VOLUME")


def test_what_is_no_instance(tmp_path: Path) -> None:
    whole = write_instance(tmp_path / "a.dcm", "1.2.3").read_bytes()
    (tmp_path / "b.dcm").write_bytes(whole[:150])
    (tmp_path / "c.dcm").write_bytes(b"II*\0")
    for name in ("b.dcm", "c.dcm", "missing.dcm", "."):
        assert read_instance(tmp_path / name) is None


def test_a_series_is_one_slide_whichever_file_is_given(tmp_path: Path) -> None:
    series = [
        write_instance(tmp_path / name, "1.2.3", kind)
        for name, kind in (("1.dcm", "LABEL"), ("2", "VOLUME"), ("3.dcm", "VOLUME"))
    ]
    other = write_instance(tmp_path / "4.dcm", "1.2.4")
    (tmp_path / "notes.txt").write_bytes(b"x")
    for path in series:
        assert list_slide_files(path) == tuple(series)
    assert list_slide_files(other) == (other,)
    assert find_repeats([*series, other]) == {series[0]: series[1], series[2]: series[1]}
    assert find_repeats([series[0], other]) == {}


def test_the_hash_covers_all_files_and_no_names(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_bytes(file.name.encode())
    before = hash_slide(files)
    assert before == hash_slide(files[::-1])
    assert hash_slide(files[:1]) == hashlib.sha256(b"a").hexdigest()
    files[0].rename(tmp_path / "c")
    assert hash_slide([tmp_path / "c", files[1]]) == before
    files[1].write_bytes(b"x")
    assert hash_slide([tmp_path / "c", files[1]]) != before


def test_folders_of_mirax_and_indices_of_hamamatsu_count(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a.mrxs", "a/Slidedat.ini", "a/Data0001.dat", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "b.vms").write_text(
        "[Virtual Microscope Specimen]\nImageFile=b.jpg\nMapFile=../c.jpg\nNoLayers=1\n"
    )
    assert [path.name for path in list_slide_files(tmp_path / "a.mrxs")] == [
        "a.mrxs",
        "Data0001.dat",
        "Slidedat.ini",
    ]
    assert list_slide_files(tmp_path / "b.vms") == (tmp_path / "b.vms", tmp_path / "b.jpg")
    assert list_slide_files(tmp_path / "c.jpg") == (tmp_path / "c.jpg",)


def test_a_file_written_to_while_it_is_read(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_bytes(b"xx")
    state, sha256 = read_state(files), hash_slide(files)
    check_unchanged(tmp_path / "a", state, sha256)
    files[1].unlink()  # what was open stays
    check_unchanged(tmp_path / "a", state, sha256)
    files[1].write_bytes(b"xx")
    os.utime(files[0], ns=(0, 0))  # a backup touches it and changes nothing
    check_unchanged(tmp_path / "a", state, sha256)
    files[0].write_bytes(b"xy")
    with pytest.raises(BadInputError, match=r"a was written to while it was read"):
        check_unchanged(tmp_path / "a", state, sha256)
