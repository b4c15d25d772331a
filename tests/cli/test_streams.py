"""Streams that are closed, full or foreign to a name's letters lose lines; the outputs are written."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.cli.streams import SafeStream
from glandseg.runtime.outputs.write import SUFFIXES
from glandseg.synthetic import write_slide

Pixels = NDArray[np.uint8]
POSIX = pytest.mark.skipif(os.name == "nt", reason="a shell's redirections")


class Broken(io.StringIO):
    """A stream that refuses with an error's number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))


@pytest.fixture
def slide(tmp_path: Path, draw_disks: Callable[..., Pixels]) -> Path:
    path = tmp_path / "one.tif"
    write_slide(path, draw_disks(300, 300, [(150.0, 150.0, 90.0)]), 0.5)
    return path


@pytest.mark.parametrize(("number", "told"), [(28, True), (32, False), (22, False)])
def test_lines_are_lost_rather_than_the_work(number: int, told: bool) -> None:
    stream = SafeStream(Broken(number))
    assert [stream.write("one\n"), stream.write("two\n")] == [4, 4]
    stream.flush()
    assert (stream.loss is not None) is told


def test_no_text_steers_the_terminal_but_the_progress_bar_does() -> None:
    inner = io.StringIO()
    stream = SafeStream(inner)
    stream.write("a\x1b[2J\x9bc\u202e\td\r\n")
    stream.pass_controls().write("\x1b[K")
    assert inner.getvalue() == "a\\x1b[2J\\x9bc\\u202e\td\\r\n\x1b[K"


@POSIX
@pytest.mark.parametrize(
    ("redirection", "code", "says"),
    [
        (">/dev/full", 3, "stdout: cannot be written"),
        ("2>&-", 0, ""),
        (">&-", 0, ""),
        ("2>/dev/full", 0, ""),
        (">&- 2>&- <&-", 0, ""),
        ("| head -n 1 >/dev/null", 0, ""),
    ],
)
def test_outputs_are_written_whatever_becomes_of_the_streams(
    redirection: str, code: int, says: str, slide: Path, red_model: Path
) -> None:
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command = (
        f'"{sys.executable}" -m glandseg infer "{slide}" --model "{red_model}" --device cpu {redirection}'
    )
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert sorted(slide.parent.iterdir()) == sorted(
        [slide, *(slide.parent / f"one{end}" for end in SUFFIXES)]
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_letters_that_a_stream_lacks_are_written_as_codes(
    encoding: str, slide: Path, red_model: Path, tmp_path: Path
) -> None:
    odd = slide.rename(tmp_path / "Łódź.tif")
    environment: dict[str, Any] = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-m", "glandseg", "infer", str(odd), "--model", str(red_model)],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"\\u0141" in done.stdout
