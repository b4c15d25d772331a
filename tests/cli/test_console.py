"""Errors and the exit codes that go with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glandseg.cli.console import describe_error, say, tell, warn
from glandseg.core.errors import BadInputError, EnvironmentLacksError


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (BadInputError("a.svs: is empty"), "a.svs: is empty", 2),
        (EnvironmentLacksError("disk: full"), "disk: full", 3),
        (MemoryError(), "the memory does not suffice. Free some, or give a smaller --batch.", 3),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            'torch: not installed. pip install "glandseg[train]".',
            3,
        ),
        (
            ModuleNotFoundError("No module named 'tumour'", name="tumour"),
            "ModuleNotFoundError: No module named 'tumour' (a fault of glandseg; --debug shows where)",
            4,
        ),
        (ValueError("odd"), "ValueError: odd (a fault of glandseg; --debug shows where)", 4),
    ],
)
def test_message_and_exit_code(error: Exception, message: str, code: int) -> None:
    assert describe_error(error) == (message, code)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain µ Łódź 图 e\u0301", "plain µ Łódź 图 e\u0301"),
        ("a\nerror: forged", r"a\nerror: forged"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("a\x85b\u2028c\x9b2Jd", r"a\x85b\u2028c\x9b2Jd"),
        ("\udcff.svs", r"\udcff.svs"),
        ("نمی\u200cخواهم", "نمی\u200cخواهم"),
    ],
)
def test_no_text_forges_a_line(text: str, escaped: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    warn(text)
    tell(BadInputError(text.replace("\n", "")))
    out, err = capsys.readouterr()
    assert (out, err.splitlines(keepends=True)[0]) == (escaped + "\n", escaped + "\n")
    assert "\x1b" not in out + err


def test_a_file_whose_name_looks_like_an_option_gets_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_command: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-x.tif").touch()
    outcome = run_command("infer", "-x.tif")
    assert outcome.code == 2
    assert f"-x.tif is a file here: put -- before it, or write .{os.sep}-x.tif." in outcome.err[0]
    assert "is empty" in run_command("infer", "--", "-x.tif").err[0]
