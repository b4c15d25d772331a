"""The command of a training gives its settings back, without a path of the machine."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import pytest

from benchmarks.results_ledger.training_facts import build_command, name_path
from glandseg.training.settings_file import override_settings, read_preset


@pytest.mark.parametrize(
    ("preset", "assignments"),
    [
        ("edge", []),
        ("edge", ["labels=outlines", "segmenter.fit.steps=1700", "shares=[0.9, 0.1, 0]", "split_seed=3"]),
        ("edge", ["segmenter.fit.epochs=3", "segmenter.skip=4", "start_from=bundled", "curves=false"]),
        ("oeem", ["segmenter.loss=plain", "segmenter.fit.seed=2"]),
        ("feng", ["classifier.sizes=[16]", "classifier.fusion=none"]),
    ],
)
def test_the_command_gives_the_settings_back(preset: str, assignments: Sequence[str]) -> None:
    settings = override_settings(read_preset(preset), assignments)
    words = shlex.split(build_command(settings, "GLAS"))
    assert words[:5] == ["glandseg", "train", "GLAS", "--preset", preset]
    assert set(words[5::2]) <= {"--set"}
    assert override_settings(read_preset(preset), words[6::2]) == settings


def test_the_command_names_no_folder_of_the_machine() -> None:
    settings = override_settings(
        read_preset("edge"), ["weights=/data/weights/m.safetensors", "start_from=../runs/big"]
    )
    command = build_command(settings, "GLAS")
    assert command.endswith("--set weights=m.safetensors --set start_from=big")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/a", "runs/a"),
        ("bundled", "bundled"),
        ("timm/resnest200e.in1k", "timm/resnest200e.in1k"),
        ("/data/runs/a", "a"),
        ("../runs/a", "a"),
        ("~/runs/a", "a"),
        ("C:\\runs\\a", "a"),
        ("\\\\server\\runs\\a", "a"),
    ],
)
def test_paths_become_names_unless_they_are_below_the_current_folder(path: str, name: str) -> None:
    assert name_path(path) == name
