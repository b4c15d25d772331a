"""Tables are read however a spreadsheet wrote them; keys that match nothing are refused."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.sample import DataSet
from tests.training.data.images import write_images


def read_patches(folder: Path, table: str | bytes) -> DataSet:
    write_images(folder, "a.png", "b.png", "c.png")
    (folder / "patches.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    return find_samples(folder)


def read_index(folder: Path, table: str) -> DataSet:
    write_images(folder, *(f"{part}/{name}.png" for part in ("images", "masks") for name in "abc"))
    (folder / "index.csv").write_text(table, encoding="utf-8")
    return find_samples(folder)


def list_groups(data_set: DataSet) -> list[str]:
    return [sample.group for sample in data_set.samples]


@pytest.mark.parametrize(
    "header",
    ["Patient", "patient_id", "patient ID", "PATIENT-ID", " PatientID ", "patient id", "Patient_Id"],
)
def test_patients_are_known_however_they_are_written(tmp_path: Path, header: str) -> None:
    table = f"file,gland,non_gland,{header}\na.png,1,0,P1\nb.png,1,0,P1\nc.png,1,0,P2\n"
    assert list_groups(read_patches(tmp_path / "t", table)) == ["P1", "P1", "P2"]
    index = f"Name,{header}\na,P1\nb,P1\nc,P2\n"
    assert list_groups(read_index(tmp_path / "i", index)) == ["P1", "P1", "P2"]


@pytest.mark.parametrize(
    "header", ["patients", "patient_name", "Patient Nr", "subject", "case_id", "Case ID", "donor", "MRN"]
)
def test_columns_like_the_patients_are_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(BadInputError, match=f"the column {header} looks like the patients'.*Name it patient"):
        read_patches(tmp_path, f"file,gland,non_gland,{header}\na.png,1,0,P1\n")
    both = f"file,gland,non_gland,{header},patient\na.png,1,0,x,P1\n"
    assert list_groups(read_patches(tmp_path, both)) == ["P1"]


def test_two_columns_of_patients_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="has two columns for patient"):
        read_patches(tmp_path, "file,gland,non_gland,patient,Patient_ID\na.png,1,0,P1,P2\n")


def test_names_may_have_suffixes_and_folders(tmp_path: Path) -> None:
    found = read_index(tmp_path, "name,patient\na.png,P1\nimages/b.png,P1\nc.tif,P2\n")
    assert list_groups(found) == ["P1", "P1", "P2"] and found.notes == ()


@pytest.mark.parametrize("name", ["d", "a_mask", "a.svs", "A"])
def test_names_of_no_image_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match=f"index.csv: names 1 image that is not there, such as {name}"):
        read_index(tmp_path, f"name,patient\n{name},P1\nb,P1\n")


def test_one_image_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"line 3 names a\.png again"):
        read_index(tmp_path / "i", "name,patient\na,P1\na.png,P2\n")
    with pytest.raises(BadInputError, match=r"line 3 names \./a\.png again"):
        read_patches(tmp_path / "t", "file,gland,non_gland\na.png,1,0\n./a.png,0,1\n")


def test_images_without_a_patient_are_noted(tmp_path: Path) -> None:
    found = read_index(tmp_path, "name,patient\na,P1\nb,\n")
    assert found.notes == ("2 images have no patient in index.csv, so each is its own group: b, c",)


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
@pytest.mark.parametrize("named", ["", "sep={}\r\n", '"sep={}"\n'])
def test_any_separator(tmp_path: Path, separator: str, named: str) -> None:
    rows = ["file", "gland", "non_gland", "patient", "um_per_px"], ["a.png", "1", "0", "P1", "0.62"]
    text = named.format(separator) + "\r\n".join(separator.join(row) for row in rows)
    found = read_patches(tmp_path, text)
    assert list_groups(found) == ["P1"] and found.um_per_px == 0.62


def test_lines_count_from_the_first(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="line 3, column gland"):
        read_patches(tmp_path, "sep=;\nfile;gland;non_gland\na.png;maybe;0\n")


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1"])
def test_a_renamed_spreadsheet_is_refused(tmp_path: Path, start: bytes) -> None:
    with pytest.raises(BadInputError, match=r"patches\.csv: is a spreadsheet.*Save it as CSV"):
        read_patches(tmp_path, start + bytes(40))


def test_a_missing_column_names_those_found(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"lacks the column gland.*Its columns are file, non_gland"):
        read_patches(tmp_path, "file;non_gland;x\na.png;1;2\n")


@pytest.mark.parametrize(
    ("values", "um"), [(("0.62", "0.620"), 0.62), (("0,5", ".50"), 0.5), (("1", "1.0"), 1)]
)
def test_equal_numbers_are_equal(tmp_path: Path, values: tuple[str, str], um: float) -> None:
    rows = f"a.png;1;0;{values[0]}\nb.png;1;0;{values[1]}\n"
    assert read_patches(tmp_path, f"file;gland;non_gland;um_per_px\n{rows}").um_per_px == um


def test_absolute_paths_below_the_folder(tmp_path: Path) -> None:
    found = read_patches(tmp_path, f"file,gland,non_gland\n{tmp_path.resolve() / 'a.png'},1,0\n")
    assert [sample.name for sample in found.samples] == ["a.png"]
    with pytest.raises(BadInputError, match="is not below"):
        read_patches(tmp_path / "other", f"file,gland,non_gland\n{tmp_path / 'a.png'},1,0\n")


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_composed_otherwise(tmp_path: Path, written: str, stored: str) -> None:
    composed = "dr\u00fcse.png"
    forms = {"NFC": composed, "NFD": unicodedata.normalize("NFD", composed)}
    name, other = forms[written], forms[stored]
    write_images(tmp_path / "t", other)
    assert list_groups(read_patches(tmp_path / "t", f"file,gland,non_gland,patient\n{name},1,0,P1\n")) == [
        "P1"
    ]
    write_images(tmp_path / "i", f"images/{other}", f"masks/{name}")
    found = read_index(tmp_path / "i", f"name,patient\n{name},P1\na,P2\nb,P2\nc,P2\n")
    assert sorted(list_groups(found)) == ["P1", "P2", "P2", "P2"]


@pytest.mark.parametrize("length", [300, 5000])
def test_endless_names_are_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(BadInputError, match="line 2 names aaa.* not there") as caught:
        read_patches(tmp_path, f"file,gland,non_gland\n{'a' * length}.png,1,0\n")
    assert len(str(caught.value)) < 600
