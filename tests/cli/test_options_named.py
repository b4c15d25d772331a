"""Every option that a message, a cure or a help text names is one that the command line has."""

from __future__ import annotations

import ast
import re
from importlib import metadata
from pathlib import Path

import pytest
import typer

import glandseg
from glandseg.cli.main import app

PACKAGE = Path(glandseg.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
# Of other programs that messages name or call: pip, torchrun, nvidia-smi, raw2ometiff; and what typer adds.
FOREIGN = {"--force-reinstall", "--nproc-per-node", "--query-gpu", "--format", "--rgb", "--help"}


def list_known() -> set[str]:
    command = typer.main.get_command(app)
    commands = [command, *getattr(command, "commands", {}).values()]
    parameters = [parameter for one in commands for parameter in one.params]
    return {option for one in parameters for option in (*one.opts, *one.secondary_opts)} | FOREIGN


def list_named(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return {option for text in texts for option in OPTION.findall(text)}


@pytest.mark.parametrize("room", ["cli", "export", "runtime", "training"])
def test_every_option_that_is_named_exists(room: str) -> None:
    known = list_known()
    assert {"--device", "--no-tissue-mask", "--target", "--debug"} <= known
    unknown = {
        path.name: named - known
        for path in sorted((PACKAGE / room).rglob("*.py"))
        if (named := list_named(path)) - known
    }
    assert not unknown


def test_options_are_found_in_texts(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        'x = f"a{1} --one. `--two=3`" "x--no" \'(--four,--five)\'', encoding="utf-8"
    )
    assert list_named(tmp_path / "m.py") == {"--one", "--two", "--four", "--five"}


def test_every_command_that_is_quoted_exists_with_its_options() -> None:
    commands = {
        name: {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        for name, command in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    }
    quoted = [
        (path.name, *found.groups())
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in re.finditer(r"`glandseg ([a-z]+)([^`]*)`", path.read_text(encoding="utf-8"))
    ]
    assert len(quoted) > 10
    for name, command, rest in quoted:
        assert command in commands, f"{name}: glandseg {command}"
        assert set(OPTION.findall(rest)) <= commands[command] | {"--help"}, (
            f"{name}: glandseg {command}{rest}"
        )


def test_every_extra_that_is_named_exists() -> None:
    known = set(metadata.metadata("glandseg").get_all("Provides-Extra") or ())
    named = {
        found
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in re.findall(r"glandseg\[([a-z]+)\]", path.read_text(encoding="utf-8"))
    }
    assert "gpu" in named
    assert named <= known
