"""What a result says of the training of a run: settings, seeds, data, and a command that repeats it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PureWindowsPath
from typing import Any

from glandseg.core.system import hash_file
from glandseg.training.run import SPLIT, Run
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import PRESETS, read_preset

LENGTHS = (".steps", ".epochs")  # giving one unsets the other
FILES = ("weights", "teacher", "start_from", "evidence")  # settings that may name a file


def describe_training(run: Run) -> dict[str, Any]:
    """Return the facts of a finished run, without paths of this machine."""
    record, settings = run.record, run.settings
    return {
        "command": build_command(settings, str(record.get("data")).upper()),
        "glandseg": record.get("glandseg"),
        "seeds": {
            "classifier": settings.classifier.fit.seed,
            "segmenter": settings.segmenter.fit.seed,
            "split": settings.split_seed,
        },
        "data": record.get("data"),
        "images": record.get("images"),
        "split_sha256": hash_file(run.path / SPLIT),
        "settings": hide_paths(asdict(settings)),
        **{key: record[key] for key in ("start", "device", "torch") if key in record},
    }


def build_command(settings: TrainSettings, data: str) -> str:
    """Return the shortest `glandseg train` command with these settings: a preset, and what differs from it.

    Args:
        settings: Settings of the run.
        data: Name in place of the data folder.
    """
    wanted = _flatten(hide_paths(asdict(settings)))
    differences: dict[str, dict[str, Any]] = {}
    for path in sorted(PRESETS.glob("*.yaml")):
        base = _flatten(asdict(read_preset(path.stem)))
        differences[path.stem] = {
            key: value
            for key, value in wanted.items()
            if base[key] != value and not (value is None and key.endswith(LENGTHS))
        }
    preset = min(differences, key=lambda name: len(differences[name]))
    options = [f"--set {shlex.quote(f'{key}={_show(value)}')}" for key, value in differences[preset].items()]
    return " ".join([f"glandseg train {data} --preset {preset}", *options])


def hide_paths(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with names in place of the paths of this machine."""
    hidden = {key: hide_paths(value) if isinstance(value, dict) else value for key, value in settings.items()}
    for key in FILES:
        if isinstance(value := hidden.get(key), str):
            hidden[key] = name_path(value)
        elif isinstance(value, tuple):
            hidden[key] = tuple(map(_name_weighted, value))
    return hidden


def _name_weighted(text: str) -> str:
    """Return a path without its folders, and the weight in front of it, as in `0.3*runs/a`."""
    weight, star, path = text.rpartition("*")
    return weight + star + name_path(path)


def name_path(text: str) -> str:
    """Return a path as it is if it is relative and below the current folder, else its last part."""
    path = PureWindowsPath(text)  # reads both separators
    outside = path.drive or path.root or path.parts[:1] in (("..",), ("~",))
    return path.name if outside else Path(text).as_posix()


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
