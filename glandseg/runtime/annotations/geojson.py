"""GeoJSON as QuPath and others export it: encodings, wrappings, classes.

Geometries become polygons while the text is parsed, and what no reader needs is dropped there, so that
memory follows the largest geometry rather than the file.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from glandseg.core.errors import BadInputError, EnvironmentLacksError, shorten, show
from glandseg.core.regular_file import check_regular_file
from glandseg.runtime.annotations.annotation import Annotation, read_names
from glandseg.runtime.annotations.geometry import KINDS, Geometry, parse_geometry

CURE = "Draw polygons in QuPath on this slide and export them as GeoJSON"
MAX_BYTES = 128 << 20  # of unpacked text
GZIP = b"\x1f\x8b"
# First bytes of files that are no JSON, and their formats.
FOREIGN = {b"PK\x03\x04": "a zip archive", b"<": "XML", b"\xef\xbb\xbf<": "XML", b"\xac\xed": "QuPath data"}
# Members that are read: of Features and collections, then of classes and planes.
KEPT = (
    *("type", "features", "geometry", "geometries", "properties", "classification", "objectType", "id"),
    *("name", "names", "z", "t", "plane"),
)


def read_annotations(path: Path, max_bytes: int = MAX_BYTES) -> list[Annotation]:
    """Read GeoJSON: a FeatureCollection, a list, a Feature or a geometry; gzip, UTF-8, UTF-16 or UTF-32.

    Args:
        path: GeoJSON file.
        max_bytes: Maximum size of its text, unpacked.

    Raises:
        BadInputError: The file is absent, too large, or not GeoJSON.
        EnvironmentLacksError: The file cannot be read.
    """
    try:
        items = list(_unwrap(json.loads(_read_text(path, max_bytes), object_hook=_compact)))
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile, RecursionError, MemoryError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else shorten(error, 120)
        raise BadInputError(f"{path}: is not GeoJSON ({show(reason, 120)}). {CURE}.") from None
    except OSError as error:
        raise EnvironmentLacksError(
            f"{path}: cannot be read ({error.strerror}). Give this user read permission, or copy the file."
        ) from error
    return [_annotate(number, item) for number, item in enumerate(items, 1)]


def _read_text(path: Path, max_bytes: int) -> bytes:
    """Return a file's bytes, unpacked."""
    check_regular_file(path)
    if path.is_dir():
        raise BadInputError(f"{path}: is a folder. Give a GeoJSON file.")
    if not path.exists():
        raise BadInputError(f"{path}: there is no such file. Check the path.")
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if data.startswith(GZIP):
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            data = packed.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise BadInputError(
            f"{path}: holds more than {max_bytes >> 20} MiB of GeoJSON. "
            "Export the regions alone, without cells and other detections."
        )
    for start, what in FOREIGN.items():
        if data.lstrip().startswith(start):
            raise ValueError(f"it is {what}")
    return data


def _compact(item: dict[str, Any]) -> Any:
    """Return a JSON object's polygons, or only those of its members that are read later."""
    if "coordinates" in item or str(item.get("type")) in KINDS:
        return parse_geometry(item)
    return {key: item[key] for key in KEPT if key in item}


def _unwrap(item: Any) -> Iterator[Any]:
    """Yield the Features and bare geometries in a parsed file, however they are wrapped."""
    if isinstance(item, list):
        for part in item:
            yield from _unwrap(part)
    elif isinstance(item, Mapping) and "features" in item:
        if not isinstance(item["features"], list):
            raise ValueError("its features are no list")
        yield from _unwrap(item["features"])
    elif isinstance(item, Geometry) and item.kind not in KINDS:
        raise ValueError(f"unknown type {item.kind}")
    elif isinstance(item, Geometry) or (isinstance(item, Mapping) and ("geometry" in item or _holds(item))):
        yield item
    elif item is not None:
        kind = item.get("type") if isinstance(item, Mapping) else None
        known = f"unknown type {show(kind)}" if isinstance(kind, str) else "no Feature and no geometry"
        raise ValueError(known)


def _holds(item: Mapping[str, Any]) -> bool:
    """Return whether an object is a GeometryCollection, or a Feature whose geometry was left out."""
    return isinstance(item.get("geometries"), list) or item.get("type") == "Feature"


def _annotate(number: int, item: Any) -> Annotation:
    feature = item if isinstance(item, Mapping) else {}
    properties = feature.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    held = feature.get("geometry") if "geometry" in feature else item
    return Annotation(
        number=number,
        names=read_names(properties.get("classification")),
        is_cell=properties.get("objectType") == "cell" or feature.get("id") == "PathCellObject",
        geometry=_read_geometry(held),
    )


def _read_geometry(item: Any) -> Geometry | None:
    """Return a geometry; the polygons of a GeometryCollection together, as one of that kind."""
    if isinstance(item, Geometry):
        return item
    if not isinstance(item, Mapping) or not isinstance(item.get("geometries"), list):
        return None
    parts = [part for part in map(_read_geometry, item["geometries"]) if part is not None]
    return Geometry(
        kind="GeometryCollection",
        polygons=tuple(polygon for part in parts for polygon in part.polygons),
        fault=next((part.fault for part in parts if part.fault), None),
        plane=parts[0].plane if parts else (0, 0),
    )
