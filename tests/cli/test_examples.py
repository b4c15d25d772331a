"""The commands of the examples are ones that the command line takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from glandseg.cli.main import app

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = re.compile(r"glandseg (infer|watch)((?:[^\n\\]|\\\n)*)")


@pytest.mark.parametrize("name", ["slurm_array.sh", "nextflow.nf", "glandseg-watch.service"])
def test_every_option_exists(name: str) -> None:
    infer = typer.main.get_command(app).commands["infer"]  # type: ignore[attr-defined]
    known = {option for parameter in infer.params for option in parameter.opts}
    commands = COMMAND.findall((EXAMPLES / name).read_text(encoding="utf-8"))
    assert commands
    for _, words in commands:
        named = set(re.findall(r"--[a-z-]+", words))
        assert named
        assert named <= known
