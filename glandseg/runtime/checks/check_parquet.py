"""GeoParquet by its specification 1.1, as geopandas reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from glandseg.runtime.checks.fault import Fault
from glandseg.runtime.checks.reader import import_reader


def check_parquet(path: Path) -> Iterator[Fault]:
    """Yield faults of a GeoParquet file: its metadata, and geometries that are not valid.

    Raises:
        EnvironmentLacksError: pyarrow is not installed.
    """
    parquet = import_reader(path, "pyarrow.parquet", "parquet")
    try:
        with parquet.ParquetFile(path) as file:
            geo = json.loads((file.metadata.metadata or {}).get(b"geo", b"null"))
            if not isinstance(geo, dict):
                yield Fault("the metadata", "lack the key geo: it is Parquet without geometries")
                return
            yield from _check_geo(geo, file.schema_arrow.names)
            for group in range(file.num_row_groups):
                yield from _check_geometries(file.read_row_group(group, list(geo["columns"])), group)
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Fault("the file", f"cannot be read as GeoParquet ({str(error)[:120]})")


def _check_geo(geo: dict[str, Any], names: list[str]) -> Iterator[Fault]:
    if not str(geo.get("version", "")).startswith("1."):
        yield Fault("geo.version", f"is {geo.get('version')!r}, not 1.x")
    if geo.get("primary_column") not in geo["columns"]:
        yield Fault("geo.primary_column", f"is {geo.get('primary_column')!r}, which is no geometry column")
    for name, column in geo["columns"].items():
        if name not in names:
            yield Fault(f"geo.columns.{name}", "names a column that is not there")
        elif column.get("encoding") != "WKB":
            yield Fault(f"geo.columns.{name}", f"has the encoding {column.get('encoding')!r}, not WKB")


def _check_geometries(table: Any, group: int) -> Iterator[Fault]:
    for name in table.column_names:
        shapes = shapely.from_wkb(np.array(table[name].to_pylist(), object))
        for row in np.flatnonzero(~shapely.is_valid(shapes)).tolist():
            reason = shapely.is_valid_reason(shapes[row])
            yield Fault(f"row {row} of group {group}", f"has in {name} no valid geometry ({reason})")
