"""Settings read from YAML and from `key=value`, and written back."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from glandseg.runtime.errors import BadInputError
from glandseg.training.settings import TrainSettings

Settings = TypeVar("Settings")
PRESETS = Path(__file__).parent / "presets"


def write_settings(path: Path, settings: TrainSettings) -> None:
    """Write settings as YAML."""
    path.write_text(yaml.safe_dump(_to_plain(asdict(settings)), sort_keys=False), encoding="utf-8")


def read_settings(path: Path, base: TrainSettings | None = None) -> TrainSettings:
    """Read settings from YAML; what it leaves out stays as in `base`, or has its default.

    Raises:
        BadInputError: if the file is not YAML, or names a setting that does not exist.
    """
    return _from_plain(base or TrainSettings(), read_yaml(path), str(path))


def read_preset(name: str) -> TrainSettings:
    """Read the settings that a paper used, or those for small machines.

    Args:
        name: "feng", "oeem" or "edge", the default.

    Raises:
        BadInputError: if there is no such preset.
    """
    known = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    if name not in known:
        raise BadInputError(f"--preset: one of {', '.join(known)}. Received: {name}")
    return read_settings(PRESETS / f"{name}.yaml")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of named values.

    Raises:
        BadInputError: if it is missing, not YAML, or holds no names.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}). Check the path.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: not YAML ({str(error).partition(chr(10))[0]}). Mend it.") from None
    if not isinstance(values, dict):
        raise BadInputError(f"{path}: names with values expected, such as `tissue: colon`. Mend it.")
    return values


def override_settings(settings: TrainSettings, assignments: Iterable[str]) -> TrainSettings:
    """Apply `key=value` pairs such as `segmenter.fit.steps=100`; values are read as YAML.

    Raises:
        BadInputError: if a key does not exist or a value does not fit.
    """
    for assignment in assignments:
        key, found, value = assignment.partition("=")
        if not found:
            raise BadInputError(f"--set {assignment}: key=value expected, such as segmenter.fit.steps=100.")
        try:
            nested: Any = yaml.safe_load(value)
        except yaml.YAMLError:
            raise BadInputError(f"--set {assignment}: its value is not YAML. Quote it.") from None
        for part in reversed(key.strip().split(".")):
            nested = {part: nested}
        settings = _from_plain(settings, nested, f"--set {assignment}")
    return settings


def _to_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _from_plain(base: Settings, values: Any, where: str) -> Settings:
    known = {item.name for item in fields(base)}  # type: ignore[arg-type]
    if not isinstance(values, Mapping) or not set(values) <= known:
        wrong = (
            ", ".join(sorted(map(str, set(values) - known))) if isinstance(values, Mapping) else repr(values)
        )
        raise BadInputError(f"{where}: no setting {wrong}. Known: {', '.join(sorted(known))}.")
    types_ = typing.get_type_hints(type(base))
    changes: dict[str, Any] = {}
    for key, value in values.items():
        current = getattr(base, key)
        nested = is_dataclass(current)
        changes[key] = (
            _from_plain(current, value, where) if nested else _convert(value, types_[key], where, key)
        )
    for one, other in (("steps", "epochs"), ("epochs", "steps")):
        if one in known and changes.get(one) is not None:
            changes.setdefault(other, None)  # whoever gives one does not mean the other any more
    return replace(base, **changes)  # type: ignore[type-var]


def _convert(value: Any, wanted: Any, where: str, key: str) -> Any:
    origin, options = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _convert(value, options[0], where, key)
    try:
        if origin is tuple:
            if not isinstance(value, list | tuple):
                raise TypeError
            converted = tuple(_convert(item, options[0], where, key) for item in value)
            if options[-1] is not Ellipsis and len(converted) != len(options):
                raise ValueError
            return converted
        if isinstance(value, bool) is not (wanted is bool) or isinstance(value, list | dict):
            raise TypeError
        if wanted is int and int(value) != value:
            raise ValueError
        return wanted(value)
    except (TypeError, ValueError):
        name = getattr(wanted, "__name__", str(wanted))
        raise BadInputError(f"{where}: {key} takes {name}. Received: {value!r}") from None
