"""Paths may be anything a user types."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.data.datasets import find_samples
from glandseg.training.networks.hub import refuse_missing
from glandseg.training.networks.weights import read_weights
from glandseg.training.paths import is_file, is_folder
from glandseg.training.run import open_run
from glandseg.training.settings_file import read_settings


@pytest.mark.parametrize("name", ["a" * 300, "a" * 5000, "a\0b", "missing"])
def test_impossible_paths_are_not_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert not is_file(path) and not is_folder(path)
    for read in (find_samples, open_run):
        with pytest.raises(BadInputError, match="no such folder|not a run folder"):
            read(path)
    with pytest.raises(BadInputError, match="no such weights file"):
        refuse_missing(str(path), "resnet38")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_fifos_are_refused(tmp_path: Path) -> None:
    for name in ("w.pth", "w.safetensors", "s.yaml"):
        os.mkfifo(tmp_path / name)
    for read in (read_weights, read_settings, lambda path: refuse_missing(str(path), "resnet38")):
        for path in sorted(tmp_path.iterdir()):
            with pytest.raises(BadInputError, match="is a named pipe"):
                read(path)


def test_the_hub_has_no_weights_for_other_encoders() -> None:
    with pytest.raises(BadInputError, match="the hub's are for resnest50"):
        refuse_missing("hub", "mobilenetv2")
    refuse_missing("hub", "resnest50")
