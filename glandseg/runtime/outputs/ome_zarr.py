"""Labels and probability as OME-Zarr 0.5, in shards of Zarr 3.

The image of the folder is the probability of gland; the labels belong to it, as the format wants it, so that
viewers open both with one path. Px of smaller labels are the most frequent number of the four they cover, as
numbers cannot be averaged. Unlike the label TIFF, no px are left out between glands that touch.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.glands.measurements import Measurements
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.maps.label_map import LabelMap
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn
from glandseg.runtime.outputs.mask_pyramid import Box, list_boxes

MAX_PROPERTIES = 20_000  # beyond it, readers would load tens of megabytes of JSON before the first px
CHUNK_PX, SHARD_PX = 256, 1024
LABELS = "glands"
_ZSTD_LEVEL = 3
_GOLDEN = 0.618034  # of the color circle: neighbours in number differ in hue
_Read = Callable[[int, int, int, int], NDArray[Any]]  # top, left, bottom, right
_Shrink = Callable[[Sequence[NDArray[Any]]], NDArray[Any]]  # the px of each place in a box of four


@contextmanager
def write_zarr(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write a folder with the probability and the numbers of the glands, with colors and measurements."""
    import zarr

    properties: list[dict[str, Any]] = []
    fits = len(found.glands) <= MAX_PROPERTIES
    with LabelMap(path.with_name("zarr-labels.map"), found.mask_shape) as labels:

        def add(gland: Gland, measured: Measurements) -> None:
            labels.draw(gland.polygon_px, gland.number)
            if fits:
                properties.append(
                    {"label-value": gland.number, "id": measured.id, **measured.list_quantities()}
                )

        yield add
        root = zarr.create_group(path, zarr_format=3, overwrite=True)
        root.attrs["ome"] = {"version": "0.5", **_describe("Probability of gland", found, "mean")}
        _write_levels(root, found.mask_shape, "uint8", found.imagery.probability.read, _average)
        holder = root.create_group("labels", attributes={"ome": {"version": "0.5", "labels": [LABELS]}})
        about = {"version": "0.5", **_describe("Glands", found, "mode"), "image-label": _label(properties)}
        group = holder.create_group(LABELS, attributes={"ome": about})
        _write_levels(group, found.mask_shape, "uint32", labels.read, _choose_most_frequent)
    if not fits:
        warn(f"more than {MAX_PROPERTIES:,} glands: {path.name} has no measurements; the table has them")


def _label(properties: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the metadata of an image of labels: its image, and each label's color and measurements."""
    about: dict[str, Any] = {"version": "0.5", "source": {"image": "../../"}}
    if properties:
        numbers = [item["label-value"] for item in properties]
        about["colors"] = [{"label-value": number, "rgba": _choose_color(number)} for number in numbers]
        about["properties"] = properties
    return about


def _choose_color(number: int) -> list[int]:
    return [*(round(255 * part) for part in colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.75, 0.95)), 255]


def _describe(name: str, found: SlideGlands, method: str) -> dict[str, Any]:
    """Return the metadata of a pyramid; px are placed by their centres, in um from that of the first px."""
    datasets = [
        {
            "path": str(number),
            "coordinateTransformations": [
                {"type": "scale", "scale": [side * found.plane.um_per_px for side in box]},
                {"type": "translation", "translation": [(s - 1) / 2 * found.plane.um_per_px for s in box]},
            ],
        }
        for number, box in enumerate(list_boxes(found.mask_shape))
    ]
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    return {"multiscales": [{"name": name, "type": method, "axes": axes, "datasets": datasets}]}


def _write_levels(group: Any, shape: tuple[int, int], dtype: str, read: _Read, shrink: _Shrink) -> None:
    """Write a pyramid shard by shard, each level from the one above."""
    last: Box = (1, 1)
    for number, (y, x) in enumerate(list_boxes(shape)):
        level = _create(group, str(number), (shape[0] // y, shape[1] // x), dtype)
        _fill(level, read, shrink, (y // last[0], x // last[1]))
        read, last = _read_array(level), (y, x)


def _create(group: Any, name: str, shape: tuple[int, int], dtype: str) -> Any:
    from zarr.codecs import ZstdCodec

    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(CHUNK_PX, CHUNK_PX),
        shards=(SHARD_PX, SHARD_PX),
        compressors=[ZstdCodec(level=_ZSTD_LEVEL)],
        fill_value=0,
        dimension_names=("y", "x"),
    )


def _read_array(level: Any) -> _Read:
    return lambda top, left, bottom, right: np.asarray(level[top:bottom, left:right])


def _fill(level: Any, read: _Read, shrink: _Shrink, step: Box) -> None:
    """Fill a level from the one above, whose px it covers `step` at a time."""
    (height, width), (y, x) = level.shape, step
    for top in range(0, height, SHARD_PX):
        for left in range(0, width, SHARD_PX):
            bottom, right = min(top + SHARD_PX, height), min(left + SHARD_PX, width)
            block = read(top * y, left * x, bottom * y, right * x)
            if block.any():
                parts = [block[i::y, j::x] for i in range(y) for j in range(x)]
                level[top:bottom, left:right] = shrink(parts) if len(parts) > 1 else block


def _average(parts: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    total = np.sum(parts, axis=0, dtype=np.uint16)
    return np.asarray((total + len(parts) // 2) // len(parts), np.uint8)


def _choose_most_frequent(parts: Sequence[NDArray[np.uint32]]) -> NDArray[np.uint32]:
    """Return the most frequent of two or four numbers of each px, the first where several are."""
    a, b, c, d = [*parts, *parts] if len(parts) == 2 else parts
    later = np.where((b == c) | (b == d), b, np.where(c == d, c, a))
    return np.where((a == b) | (a == c) | (a == d), a, later)
