"""GeoJSON that QuPath 0.6 and later opens as it is: every polygon valid after its 0.01 px snap.

QuPath refuses a whole file for one crossing, so each contour is snapped to the importer's own grid and
made valid there. Coordinates are level-0 pixels of the slide as QuPath shows it, cropped to the slide's
bounds where the format has them.
"""

from __future__ import annotations

import gzip
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import IO, Any

import numpy as np
import shapely
from shapely import LinearRing, MultiPolygon, Polygon

from glandseg import RESEARCH_USE
from glandseg.runtime.glands.contour_edits import simplify_contour
from glandseg.runtime.glands.measurements import QUANTITIES, Measurements
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn

GLAND_RGB = (0, 200, 83)
MAX_ANNOTATIONS = 20_000
COARSE_TOLERANCE_PX = 0.25  # beyond that number: a third less text; no gland's area changes by 1.5 %
_LARGE_BYTES = 100_000_000
_HEAP_BYTES = 15  # QuPath's memory for each byte of text while it opens the file
_GZIP_LEVEL = 6
_GRID_L0 = 0.01
_CHUNK = 1 << 14  # points of a contour encoded together
_SLIVER_L0 = 1.0  # parts below this area, in square level-0 pixels, are dropped


@contextmanager
def write_geojson(
    path: Path, found: SlideGlands, warn: Warn, *, max_annotations: int = MAX_ANNOTATIONS
) -> Iterator[AddGland]:
    """Write a FeatureCollection, one feature at a time: the glands, then what could not be read.

    Its "metadata", which QuPath ignores, hold the facts about the slide. More glands than `max_annotations`
    become detections, which QuPath handles in larger numbers, simplified by COARSE_TOLERANCE_PX. A name that
    ends in ".gz" is compressed.
    """
    few = len(found.glands) <= max_annotations
    kind, tolerance_px = ("annotation", 0.0) if few else ("detection", COARSE_TOLERANCE_PX)
    header = {"Research use": RESEARCH_USE, **found.metadata}
    separators = chain(["\n"], repeat(",\n"))
    with _open_text(path) as (file, tell):
        file.write(f'{{"type":"FeatureCollection","metadata":{_encode(header)},"features":[')

        def add(gland: Gland, measured: Measurements) -> None:
            contour_px = simplify_contour(gland.polygon_px, tolerance_px)
            file.write(next(separators))
            file.writelines(_encode_feature(place_contour(contour_px, found.plane.l0_per_px), measured, kind))

        yield add
        for feature in found.unread:
            file.write(next(separators) + _encode(feature))
        file.write("\n]}\n")
        file.flush()
        size_bytes = tell()
    for warning in warn_of_size(len(found.glands), size_bytes):
        warn(warning)


def warn_of_size(glands: int, size_bytes: int) -> list[str]:
    """Return warnings for QuPath's users about a GeoJSON with many glands, or a large one."""
    warnings = []
    if glands > MAX_ANNOTATIONS:
        warnings.append(
            f"more than {MAX_ANNOTATIONS:,} glands: the outlines are detections in QuPath and simplified by "
            f"{COARSE_TOLERANCE_PX:g} px of the model; mask and table are not"
        )
    if size_bytes > _LARGE_BYTES:
        heap_gib = math.ceil(size_bytes * _HEAP_BYTES / (1 << 30))
        warnings.append(
            f"the outlines take {size_bytes / 1e6:.0f} MB: QuPath needs {heap_gib} GiB of memory to open "
            "them. Set its maximum memory in Edit > Preferences and restart it"
        )
    return warnings


@contextmanager
def _open_text(path: Path) -> Iterator[tuple[IO[str], Callable[[], int]]]:
    """Open a file for text, with a function that returns the bytes of text written; no time is stored."""
    with path.open("wb") as file:
        packed = gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) if path.suffix == ".gz" else None
        raw = packed or file
        with io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as text:  # closes it
            yield text, raw.tell


def _encode(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _encode_feature(contour_l0: Polygon | MultiPolygon, measured: Measurements, kind: str) -> Iterator[str]:
    """Yield a feature's text in parts, as a contour may have millions of points."""
    quantities = measured.list_quantities()
    properties = {
        "objectType": kind,
        "name": f"Gland {measured.number}",
        "classification": {"name": "Gland", "color": GLAND_RGB},
        "measurements": {QUANTITIES[name][0]: value for name, value in quantities.items()},
        "metadata": {"Research use": RESEARCH_USE},
    }
    head = {"type": "Feature", "id": measured.id, "geometry": {"type": contour_l0.geom_type}}
    yield _encode(head)[:-2] + ',"coordinates":'
    polygons = [_encode_polygon(polygon) for polygon in shapely.get_parts(contour_l0)]
    yield from polygons[0] if len(polygons) == 1 else _join(polygons)
    yield f'}},"properties":{_encode(properties)}}}'


def place_contour(polygon_px: Polygon, l0_per_px: float) -> Polygon | MultiPolygon:
    """Scale a contour to level 0 and make it valid on QuPath's grid."""
    contour_l0: shapely.Geometry = shapely.transform(polygon_px, lambda xy: xy * l0_per_px)
    snapped = shapely.set_precision(shapely.make_valid(contour_l0), _GRID_L0)
    if snapped.area == 0:  # thinner than the grid
        snapped = shapely.set_precision(shapely.buffer(contour_l0, _GRID_L0), _GRID_L0)
    return _drop_slivers(snapped)


def _drop_slivers(geometry: shapely.Geometry) -> Polygon | MultiPolygon:
    """Keep the largest polygon and all others that are no slivers; drop lines and points.

    A collection of lines and polygons may hold the polygons as a MultiPolygon, hence parts of parts.
    """
    parts = [part for part in shapely.get_parts(shapely.get_parts(geometry)) if isinstance(part, Polygon)]
    largest = max(parts, key=lambda part: part.area)
    kept = [part for part in parts if part is largest or part.area >= _SLIVER_L0]
    whole = kept[0] if len(kept) == 1 else MultiPolygon(kept)
    return shapely.orient_polygons(whole, exterior_cw=False)


def _encode_polygon(polygon: Polygon) -> Iterator[str]:
    return _join(_encode_ring(ring) for ring in (polygon.exterior, *polygon.interiors))


def _encode_ring(ring: LinearRing) -> Iterator[str]:
    xy = np.round(shapely.get_coordinates(ring), 2)
    chunks = (xy[start : start + _CHUNK].tolist() for start in range(0, len(xy), _CHUNK))
    return _join([_encode(chunk)[1:-1]] for chunk in chunks)


def _join(items: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the text of a list whose items are texts in parts."""
    for index, item in enumerate(items):
        yield "," if index else "["
        yield from item
    yield "]"
