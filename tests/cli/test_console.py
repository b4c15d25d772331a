"""Errors and the exit codes that go with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glandseg.cli import console
from glandseg.cli.console import describe_error, pluralise, print_error, say, say_lines, warn
from glandseg.core.errors import BadInputError, EnvironmentLacksError


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (BadInputError("a.svs: is empty"), "a.svs: is empty", 2),
        (EnvironmentLacksError("disk: full"), "disk: full", 3),
        (MemoryError(), "not enough memory. Free some, or give a smaller --batch.", 3),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            'torch: not installed. pip install "glandseg[train]".',
            3,
        ),
        (
            ModuleNotFoundError("No module named 'tumour'", name="tumour"),
            "ModuleNotFoundError: No module named 'tumour' (a bug in glandseg; --debug shows where)",
            4,
        ),
        (ValueError("odd"), "ValueError: odd (a bug in glandseg; --debug shows where)", 4),
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
    print_error(BadInputError(text.replace("\n", "")))
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


def test_lines_stay_lines_and_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say_lines("| a\x1b[2J |\n| b\r |\n")
    assert capsys.readouterr().out == "| a\\x1b[2J |\n| b\\r |\n"


def test_all_commands_print_through_the_console() -> None:
    folder = Path(console.__file__).parent
    printing = {path.name for path in folder.glob("*.py") if "typer.echo" in path.read_text(encoding="utf-8")}
    assert printing == {"console.py", "main.py"}  # main.py prints only its own help


def test_one_is_singular() -> None:
    assert pluralise(1, "gland") == "1 gland" and pluralise(0, "gland") == "0 glands"
    assert pluralise(2, "patch", "patches") == "2 patches"
