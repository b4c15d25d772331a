"""The record of a run: facts, versions, stages."""

from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path

import numpy as np

from glandseg import RESEARCH_USE, __version__
from glandseg.runtime.outputs.record import list_versions, write_record


def test_facts_and_versions_are_written(tmp_path: Path) -> None:
    write_record(tmp_path / "run.json", {"slide": {"unit": "µm"}})
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    read = json.loads(text)
    assert "µm" in text
    assert text.endswith("}\n")
    assert (read["glandseg"], read["use"]) == (__version__, RESEARCH_USE)
    assert read["versions"]["numpy"] == np.__version__
    assert read["versions"]["python"] == platform.python_version()


def test_versions_name_no_user_and_no_host() -> None:
    values = " ".join(list_versions().values())
    words = [word for word in (platform.node(), getpass.getuser()) if len(word) > 4]
    assert not [word for word in words if word in values]
