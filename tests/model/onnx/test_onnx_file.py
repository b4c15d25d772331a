"""Cards read from ONNX files without the onnx package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.model.files import BUNDLED
from glandseg.model.onnx.onnx_file import read_metadata, read_onnx_card

WriteNetwork = Callable[..., Path]


def test_the_bundled_models_metadata_are_what_onnx_reads() -> None:
    onnx = pytest.importorskip("onnx")
    expected = {entry.key: entry.value for entry in onnx.load(BUNDLED).metadata_props}
    assert read_metadata(BUNDLED.read_bytes()) == expected
    assert read_onnx_card(BUNDLED).name == "glandseg-colon"


@pytest.mark.parametrize("name", ["", "Lieberkühn " * 2000])
def test_texts_of_any_length_are_read(write_network: WriteNetwork, tmp_path: Path, name: str) -> None:
    from dataclasses import replace

    card = replace(read_onnx_card(BUNDLED), name=name)
    assert read_onnx_card(write_network(tmp_path / "m.onnx", card=card)) == card


@pytest.mark.parametrize("kept", [0, 1, 100, 10_000, -1, -700])
def test_what_ends_too_early_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(BUNDLED.read_bytes()[:kept])
    with pytest.raises(BadInputError, match=r"cut\.onnx: not a model of glandseg, ") as raised:
        read_onnx_card(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"\xff" * 50, b"\x0b\x00", b"PK\x03\x04 a zip archive", b"\x80" * 11])
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"other\.onnx: not a model of glandseg, "):
        read_onnx_card(path)


def test_a_network_without_card_is_refused(write_network: WriteNetwork, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"its metadata lack glandseg\.card"):
        read_onnx_card(write_network(tmp_path / "m.onnx", card=None))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"absent\.onnx: no such model file"):
        read_onnx_card(tmp_path / "absent.onnx")
