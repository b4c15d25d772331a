"""GeoJSON by the rules of QuPath's importer, which rejects the whole file for one feature."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import shapely

from glandseg.runtime.annotations.geojson import MAX_BYTES
from glandseg.runtime.annotations.geometry import parse_geometry
from glandseg.runtime.checks.fault import Fault

KINDS = ("annotation", "detection", "cell", "tile", "tma_core", "root")
GRID_PX = 0.01  # to which QuPath rounds coordinates before it checks a polygon
_MAX_LINE = 1 << 28


def check_geojson(path: Path) -> Iterator[Fault]:
    """Yield what QuPath would reject or misread.

    A file with a line for each feature, as glandseg writes, is read line by line, whatever its size.
    """
    ids: set[int] = set()
    try:
        for number, feature in _read_features(path):
            yield from (Fault(f"feature {number}", text) for text in _check_feature(feature, ids))
    except (ValueError, EOFError, OSError, RecursionError) as error:
        yield Fault("the file", f"is not GeoJSON ({error})")


def _read_features(path: Path) -> Iterator[tuple[int, Any]]:
    with _open(path) as file:
        first = file.readline(_MAX_LINE)
        if first.rstrip().endswith('"features":['):
            yield from _read_lines(file)
            return
        text = first + file.read(MAX_BYTES)
    if len(text) >= MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB and not written a feature a line")
    parsed = json.loads(text, parse_constant=_refuse)
    listed = parsed.get("features") if isinstance(parsed, Mapping) and "features" in parsed else parsed
    yield from enumerate(listed if isinstance(listed, list) else [listed], 1)


def _read_lines(file: IO[str]) -> Iterator[tuple[int, Any]]:
    number = 0
    while line := file.readline(_MAX_LINE):
        if line.strip() == "]}":
            return
        number += 1
        yield number, json.loads(line.rstrip().removesuffix(","), parse_constant=_refuse)
    raise EOFError("it ends before its list of features does")


def _open(path: Path) -> IO[str]:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8") if is_packed else path.open(encoding="utf-8")


def _check_feature(feature: Any, ids: set[int]) -> Iterator[str]:
    if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
        yield "is no Feature"
        return
    yield from _check_id(feature.get("id"), ids)
    geometry = feature.get("geometry")
    if not isinstance(geometry, Mapping):
        yield "has no geometry"
    else:
        yield from _check_geometry(geometry)
    properties = feature.get("properties")
    if not isinstance(properties, Mapping):
        yield "has no properties"
    else:
        yield from _check_properties(properties)


def _check_id(given: Any, ids: set[int]) -> Iterator[str]:
    try:
        number = uuid.UUID(str(given)).int
    except ValueError:
        yield f"has the id {str(given)[:40]!r}, which is no UUID"
        return
    short = number & 0xFFFFFFFFFFFFFFFF
    if short in ids:
        yield f"has the id {given} of an earlier one"
    ids.add(short)


def _check_geometry(item: Mapping[str, Any]) -> Iterator[str]:
    kind, parts = item.get("type"), item.get("coordinates")
    if kind == "GeometryCollection":
        yield "is a GeometryCollection, which QuPath does not read"
        return
    if kind in ("Polygon", "MultiPolygon") and not _is_closed(kind, parts):
        yield "has a ring that is not closed, or coordinates that make none"
        return
    geometry = parse_geometry(item)
    if geometry.fault:
        yield geometry.fault
    elif kind == "MultiPolygon" and len(geometry.polygons) < 2:
        yield "is a MultiPolygon of one polygon"
    elif geometry.polygons:
        yield from _check_polygons(np.array(geometry.polygons, object))


def _is_closed(kind: str, coordinates: Any) -> bool:
    try:
        polygons = coordinates if kind == "MultiPolygon" else [coordinates]
        return all(ring[0][:2] == ring[-1][:2] for polygon in polygons for ring in polygon)
    except (TypeError, IndexError, KeyError):
        return False


def _check_polygons(polygons: np.ndarray[Any, np.dtype[np.object_]]) -> Iterator[str]:
    whole = shapely.MultiPolygon(list(polygons)) if len(polygons) > 1 else polygons[0]
    rounded = shapely.transform(whole, lambda xy: np.round(xy / GRID_PX) * GRID_PX)
    if not shapely.is_valid(rounded):
        yield f"is not a valid polygon ({shapely.is_valid_reason(rounded)})"
    elif whole.area == 0:
        yield "has no area"


def _check_properties(properties: Mapping[str, Any]) -> Iterator[str]:
    if properties.get("objectType") not in KINDS:
        yield f"has the objectType {properties.get('objectType')!r}, not one of {', '.join(KINDS)}"
    classification = properties.get("classification")
    if classification is not None and not _is_class(classification):
        yield "has a classification without name and color"
    measurements = properties.get("measurements", {})
    wrong = [name for name, value in dict(measurements).items() if not _is_number(value)]
    if wrong:
        yield f"has the measurement {wrong[0]!r} that is no number"


def _is_class(item: Any) -> bool:
    if not isinstance(item, Mapping) or not (item.get("name") or item.get("names")):
        return False
    color = item.get("color", item.get("colorRGB"))
    return isinstance(color, int) or (
        isinstance(color, list) and len(color) == 3 and all(isinstance(part, int) for part in color)
    )


def _is_number(value: Any) -> bool:
    return (isinstance(value, int | float) and not isinstance(value, bool)) or value == "NaN"


def _refuse(constant: str) -> Any:
    raise ValueError(f"it holds {constant}, which is no JSON")
