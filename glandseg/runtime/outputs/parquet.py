"""The glands as GeoParquet 1.1: contours and measurements in one file for data frames and databases.

Contours are those of the GeoJSON, never simplified, once in level-0 px and once in micrometres from the same
corner. Rows are written in groups, so memory does not follow the number of glands; `bbox` lets readers skip
the groups that lie elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from glandseg import RESEARCH_USE
from glandseg.runtime.glands.measurements import QUANTITIES, Measurements
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.outputs.geojson import place_contour
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn

GROUP_ROWS = 4096
_GROUP_BYTES = 8 << 20  # of contours, from which on a group is written, however few its rows
_SIDES = ("xmin", "ymin", "xmax", "ymax")


@contextmanager
def write_parquet(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write one row per gland; measurements are rounded as in the table, and null where not finite."""
    import pyarrow.parquet

    schema = _build_schema()
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        rows = _Rows(found, writer, schema)
        yield rows.add
        rows.flush()
        facts = {"research_use": RESEARCH_USE, **found.metadata}
        writer.add_key_value_metadata({"geo": json.dumps(rows.describe()), "glandseg": json.dumps(facts)})


class _Rows:
    """Rows on their way into a file, and what its metadata say of them all."""

    def __init__(self, found: SlideGlands, writer: Any, schema: Any) -> None:
        self._found, self._writer, self._schema = found, writer, schema
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self._types: set[str] = set()
        self._bounds_l0 = np.array([np.inf, np.inf, -np.inf, -np.inf])

    def add(self, gland: Gland, measured: Measurements) -> None:
        """Take a gland; a full group is written."""
        contour_l0 = place_contour(gland.polygon_px, self._found.plane.l0_per_px)
        um_per_l0 = self._found.plane.um_per_px / self._found.plane.l0_per_px
        contour_um = shapely.transform(contour_l0, lambda xy: xy * um_per_l0)
        contours = shapely.to_wkb([contour_l0, contour_um], byte_order=1)
        row = {
            "slide": self._found.name,
            "id": measured.id,
            "number": measured.number,
            **measured.list_quantities(),
            "bbox": dict(zip(_SIDES, contour_l0.bounds, strict=True)),
            "geometry": contours[0],
            "geometry_um": contours[1],
        }
        self._rows.append(row)
        self._bytes += 2 * len(contours[0])
        self._types.add(contour_l0.geom_type)
        low, high = np.split(self._bounds_l0, 2)
        left, top, right, bottom = contour_l0.bounds
        self._bounds_l0[:] = *np.minimum(low, (left, top)), *np.maximum(high, (right, bottom))
        if len(self._rows) == GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the rows taken as a group."""
        import pyarrow

        if self._rows:
            self._writer.write_table(pyarrow.Table.from_pylist(self._rows, self._schema))
        self._rows, self._bytes = [], 0

    def describe(self) -> dict[str, Any]:
        """Return the metadata of GeoParquet."""
        um_per_l0 = self._found.plane.um_per_px / self._found.plane.l0_per_px
        px, um = self._describe_column(1.0), self._describe_column(um_per_l0)
        px["covering"] = {"bbox": {side: ["bbox", side] for side in _SIDES}}
        return {
            "version": "1.1.0",
            "primary_column": "geometry",
            "columns": {"geometry": px, "geometry_um": um},
        }

    def _describe_column(self, per_l0: float) -> dict[str, Any]:
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": sorted(self._types),
            "crs": None,  # a slide, not the Earth
            "orientation": "counterclockwise",
            "edges": "planar",
        }
        if self._types:
            column["bbox"] = (self._bounds_l0 * per_l0).tolist()
        return column


def _build_schema() -> Any:
    import pyarrow as pa

    quantities = [pa.field(name, pa.float64()) for name in QUANTITIES]
    return pa.schema(
        [
            pa.field("slide", pa.string()),
            pa.field("id", pa.string()),
            pa.field("number", pa.int64()),
            *quantities,
            pa.field("bbox", pa.struct([pa.field(side, pa.float64()) for side in _SIDES])),
            pa.field("geometry", pa.binary()),
            pa.field("geometry_um", pa.binary()),
        ]
    )
