"""Check a file by its kind: GeoJSON, table, TIFF, GeoParquet, DICOM or OME-Zarr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.runtime.checks.check_dicom import check_dicom
from glandseg.runtime.checks.check_geojson import check_geojson
from glandseg.runtime.checks.check_parquet import check_parquet
from glandseg.runtime.checks.check_table import check_table
from glandseg.runtime.checks.check_tiff import check_tiff
from glandseg.runtime.checks.check_zarr import check_zarr
from glandseg.runtime.checks.fault import Fault

CHECKS: dict[tuple[str, ...], Callable[[Path], Iterator[Fault]]] = {
    (".geojson", ".geojson.gz", ".json"): check_geojson,
    (".csv",): check_table,
    (".tif", ".tiff"): check_tiff,
    (".parquet",): check_parquet,
    (".dcm",): check_dicom,
    (".zarr",): check_zarr,
}
# Outputs that people look at, or that this package alone reads.
WITHOUT_RULES = (".overview.png", ".report.html", ".run.json")


def has_rules(path: Path) -> bool:
    """Return whether there are rules for a file: not for an overview, a report or a record."""
    return not path.name.lower().endswith(WITHOUT_RULES)


def check_output(path: Path) -> Iterator[Fault]:
    """Return the faults of a file, found as it is read.

    Raises:
        BadInputError: It is missing, or of a kind that is not checked.
        EnvironmentLacksError: A library that reads it is not installed.
    """
    if not path.exists():
        raise BadInputError(f"{path}: there is no such file. Check the path.")
    for suffixes, check in CHECKS.items():
        if path.name.lower().endswith(suffixes):
            return check(path)
    known = ", ".join(suffix for suffixes in CHECKS for suffix in suffixes)
    raise BadInputError(f"{path}: is not checked; known are {known}. Give an output of glandseg infer.")
