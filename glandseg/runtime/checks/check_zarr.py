"""OME-Zarr by its specification 0.5: the metadata, and that the arrays they name are there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glandseg.runtime.checks.fault import Fault

VERSION = "0.5"


def check_zarr(path: Path) -> Iterator[Fault]:
    """Yield faults of an OME-Zarr folder: its image and its labels."""
    group = _read(path)
    if group is None:
        yield Fault("zarr.json", "is missing or no JSON")
        return
    yield from _check_image(path, group, "")
    labels = _read(path / "labels")
    for name in (labels or {}).get("attributes", {}).get("ome", {}).get("labels", []):
        inner = _read(path / "labels" / name)
        if inner is None:
            yield Fault(f"labels/{name}", "is listed and not there")
            continue
        yield from _check_image(path / "labels" / name, inner, f"labels/{name}/")
        if "image-label" not in inner.get("attributes", {}).get("ome", {}):
            yield Fault(f"labels/{name}", "lacks image-label")


def _check_image(folder: Path, group: dict[str, Any], place: str) -> Iterator[Fault]:
    ome = group.get("attributes", {}).get("ome", {})
    if group.get("node_type") != "group" or ome.get("version") != VERSION:
        yield Fault(f"{place}zarr.json", f"is no OME-Zarr group of version {VERSION}")
        return
    for multiscale in ome.get("multiscales", []):
        axes = [axis.get("name") for axis in multiscale.get("axes", [])]
        if axes[-2:] != ["y", "x"]:
            yield Fault(f"{place}multiscales", f"has the axes {axes}, which do not end in y, x")
        yield from _check_levels(folder, multiscale.get("datasets", []), len(axes), place)
    if not ome.get("multiscales"):
        yield Fault(f"{place}zarr.json", "describes no image")


def _check_levels(folder: Path, levels: list[dict[str, Any]], axes: int, place: str) -> Iterator[Fault]:
    previous: list[int] | None = None
    for level in levels:
        name = str(level.get("path"))
        array = _read(folder / name)
        if array is None or array.get("node_type") != "array":
            yield Fault(f"{place}{name}", "is listed and no array")
            continue
        shape = array.get("shape", [])
        if len(shape) != axes:
            yield Fault(f"{place}{name}", f"has {len(shape)} dimensions, and the image {axes} axes")
        if previous and any(side > other for side, other in zip(shape, previous, strict=False)):
            yield Fault(f"{place}{name}", "is larger than the level above")
        kinds = [change.get("type") for change in level.get("coordinateTransformations", [])]
        if "scale" not in kinds:
            yield Fault(f"{place}{name}", "has no scale, so that nothing can be measured")
        previous = shape


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        value = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
