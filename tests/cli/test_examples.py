"""The examples: their commands are ones that the command line takes, and the notebook runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

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


def test_the_notebook_runs(capsys: pytest.CaptureFixture[str]) -> None:
    notebook = json.loads((EXAMPLES / "segment_slide.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert len(names["result"].glands) > 10
    assert abs(names["share"] - names["truth"].mean()) < 0.1
    assert "glands; the largest has" in capsys.readouterr().out
