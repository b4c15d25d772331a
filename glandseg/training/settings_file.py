"""Settings read from YAML and from `key=value`, and written as YAML."""

from __future__ import annotations

import reprlib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from glandseg.core.atomic import write_whole
from glandseg.core.errors import BadInputError
from glandseg.training.settings import TrainSettings
from glandseg.training.yaml_file import describe_fault, parse_yaml, read_yaml

__all__ = ["override_settings", "read_preset", "read_settings", "read_yaml", "to_plain", "write_settings"]

Settings = TypeVar("Settings")
PRESETS = Path(__file__).parent / "presets"
MAX_DEPTH = 8  # levels of a key; settings have three
MAX_SHOWN = 120  # characters of a received value
MAX_TEXT = 4000
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict = 2, 6, 3


def write_settings(path: Path, settings: TrainSettings) -> None:
    """Write settings as YAML."""
    with write_whole(path) as part:
        part.write_text(yaml.safe_dump(to_plain(settings), sort_keys=False), encoding="utf-8")


def read_settings(path: Path, base: TrainSettings | None = None) -> TrainSettings:
    """Read settings from YAML; keys left out keep their value in `base`, or their default.

    Raises:
        BadInputError: If the file is not YAML, or names an unknown setting.
    """
    return _from_plain(base or TrainSettings(), read_yaml(path), str(path))


def read_preset(name: str) -> TrainSettings:
    """Read the settings of a paper, or those for small machines.

    A preset whose file names another as `preset` holds the differences from it.

    Args:
        name: Stem of a file in `PRESETS`: "edge" is the default.

    Raises:
        BadInputError: If there is no such preset.
    """
    known = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    if name not in known:
        raise BadInputError(f"--preset: one of {', '.join(known)}. Received: {name}")
    path = PRESETS / f"{name}.yaml"
    values = dict(read_yaml(path))
    base = read_preset(values.pop("preset")) if "preset" in values else TrainSettings()
    return _from_plain(base, values, str(path))


def override_settings(settings: TrainSettings, assignments: Iterable[str]) -> TrainSettings:
    """Apply `key=value` pairs such as `segmenter.fit.steps=100`; values are read as YAML.

    Raises:
        BadInputError: If a key is unknown or a value does not fit.
    """
    for assignment in assignments:
        key, found, value = assignment.partition("=")
        where = f"--set {assignment[:MAX_SHOWN]}"
        if not found:
            raise BadInputError(f"{where}: key=value expected, such as segmenter.fit.steps=100.")
        try:
            nested: Any = parse_yaml(value)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise BadInputError(f"{where}: value is not YAML ({describe_fault(error)}). Quote it.") from None
        parts = key.strip().split(".")
        if len(parts) > MAX_DEPTH:
            raise BadInputError(f"{where}: nested too deeply. Use a key such as segmenter.fit.steps.")
        for part in reversed(parts):
            nested = {part: nested}
        settings = _from_plain(settings, nested, where)
    return settings


def to_plain(settings: TrainSettings) -> dict[str, Any]:
    """Return settings as nested dictionaries and lists, as YAML and JSON hold them."""
    plain: dict[str, Any] = _to_plain(asdict(settings))
    return plain


def _to_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _from_plain(base: Settings, values: Any, where: str, prefix: str = "") -> Settings:
    known = {item.name for item in fields(base)}  # type: ignore[arg-type]
    if not isinstance(values, Mapping) or not set(values) <= known:
        wrong = [show(values)]
        if isinstance(values, Mapping):
            wrong = sorted(f"{prefix}{show(name)}" for name in set(values) - known)[:3]
        raise BadInputError(f"{where}: no setting {', '.join(wrong)}. Known: {', '.join(sorted(known))}.")
    types_ = typing.get_type_hints(type(base))
    changes: dict[str, Any] = {}
    for key, value in values.items():
        current = getattr(base, key)
        if is_dataclass(current):
            changes[key] = _from_plain(current, value, where, f"{prefix}{key}.")
        else:
            changes[key] = _convert(value, types_[key], where, prefix + key)
    for one, other in (("steps", "epochs"), ("epochs", "steps")):
        if one in known and changes.get(one) is not None:
            changes.setdefault(other, None)  # giving one unsets the other
    try:
        return replace(base, **changes)  # type: ignore[type-var]
    except BadInputError as error:
        raise BadInputError(f"{where}: {prefix}{error}") from None


def show(value: Any) -> str:
    """Return a received value as short text, however large or nested it is."""
    if isinstance(value, str):
        return value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}..."
    return _SHORT.repr(value)[:MAX_SHOWN]


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
        return _convert_single(value, wanted)
    except (TypeError, ValueError, OverflowError):
        name = getattr(wanted, "__name__", str(wanted))
        name = f"{name} of at most {MAX_TEXT} characters" if wanted is str else name
        shown = repr(show(value)) if isinstance(value, str) else show(value)
        raise BadInputError(f"{where}: {key} takes {name}. Received: {shown}") from None


def _convert_single(value: Any, wanted: Any) -> Any:
    """Convert a value that is not a list.

    Raises:
        TypeError, ValueError, OverflowError: If it does not fit.
    """
    if isinstance(value, bool) is not (wanted is bool) or isinstance(value, list | dict | set | bytes):
        raise TypeError
    if wanted is int and int(value) != value:
        raise ValueError
    if wanted is str and value is None:
        raise TypeError
    converted = wanted(value)
    if wanted is str and (len(converted) > MAX_TEXT or "\0" in converted):
        raise ValueError
    return converted
