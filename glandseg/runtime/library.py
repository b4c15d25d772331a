"""The package as a library: open a model, segment a slide or an image, and get glands, mask and record.

Examples:
    >>> from glandseg import open_model, segment_slide
    >>> with open_model() as model:
    ...     result = segment_slide("slide.svs", model)
    >>> print(len(result.glands), result.record["summary"]["glands_per_mm2"])
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from glandseg.core.callbacks import Say
from glandseg.core.errors import BadInputError
from glandseg.model.backend import ModelBackend
from glandseg.model.files import AUTO, ModelFile
from glandseg.model.model_choice import ModelChoice, open_chosen
from glandseg.runtime.glands.measurements import QUANTITIES
from glandseg.runtime.infer import infer_slide
from glandseg.runtime.outputs.choice import choose_outputs
from glandseg.runtime.outputs.write import MASK_SUFFIX, OutputPaths
from glandseg.runtime.settings import InferSettings

_NEEDED = ("geojson", "mask")
_FIELDS = {label: name for name, (label, _) in QUANTITIES.items()}


@dataclass(frozen=True, kw_only=True)
class OpenModel:
    """A model, ready to run.

    Attributes:
        backend: Model on its device.
        file: Its file.
    """

    backend: ModelBackend
    file: ModelFile


@dataclass(frozen=True, kw_only=True)
class SegmentedGland:
    """A gland of a slide.

    Attributes:
        id: UUID of the gland, the same in every output.
        number: Its number on the slide, from 1.
        polygon_l0: Outline with lumina as holes, in level-0 px as QuPath shows the slide.
        measurements: Measurements by the names of the table's columns, such as `area_um2`.
    """

    id: str
    number: int
    polygon_l0: BaseGeometry
    measurements: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """What was found on a slide.

    Attributes:
        glands: Glands in reading order.
        mask: (H, W) uint8 at the model's um/px, 255 for gland.
        record: Record of the run: slide, model, settings, result, summary, versions.
        outputs: Files written; empty if they were not kept.
    """

    glands: tuple[SegmentedGland, ...]
    mask: NDArray[np.uint8]
    record: Mapping[str, Any]
    outputs: tuple[Path, ...]

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """GeoJSON of the glands, from which `geopandas.GeoDataFrame.from_features` builds a table."""
        features = [
            {
                "type": "Feature",
                "id": gland.id,
                "geometry": gland.polygon_l0.__geo_interface__,
                "properties": {"id": gland.id, "number": gland.number, **gland.measurements},
            }
            for gland in self.glands
        ]
        return {"type": "FeatureCollection", "features": features}


@contextmanager
def open_model(
    path: str | os.PathLike[str] | None = None,
    *,
    device: str = "auto",
    precision: str = AUTO,
    threads: int = 0,
    say: Say = lambda text: None,
) -> Iterator[OpenModel]:
    """Open a model; close it with the block.

    Args:
        path: Model file; None for the newest in models/, else the bundled model.
        device: "auto", "cpu", "cuda", "cuda:N", "trt" or "trt:N".
        precision: "auto", "float32", "float16" or "int8".
        threads: Threads on the CPU; 0 takes all.
        say: Called with lines on the device and the model.

    Raises:
        BadInputError: There is no such file or device.
        EnvironmentLacksError: The device does not work.
    """
    choice = ModelChoice(
        path=Path(path) if path is not None else None, device=device, precision=precision, threads=threads
    )
    with open_chosen(choice, say) as (backend, file):
        yield OpenModel(backend=backend, file=file)


def segment_slide(
    slide: str | os.PathLike[str] | NDArray[np.uint8],
    model: OpenModel,
    *,
    mpp: float | None = None,
    out: str | os.PathLike[str] | None = None,
    settings: InferSettings | None = None,
    say: Say = lambda text: None,
    warn: Say = lambda text: None,
) -> Segmentation:
    """Find the glands of a slide or of an image in memory, as `glandseg infer` does.

    Args:
        slide: Slide file, or (H, W, 3) uint8 RGB.
        model: Model from `open_model`.
        mpp: Um per level-0 px; needed for an image in memory, else in place of the file's.
        out: Folder in which the outputs stay; None keeps none.
        settings: Settings of the inference; None for the default ones.
        say: Called with lines on the slide.
        warn: Called with warnings known before the network runs; all are in the record.

    Raises:
        BadInputError: The slide cannot be read, its um/px is unknown, or an image is of another shape.
        EnvironmentLacksError: There is not enough memory or disk, or the outputs cannot be written.
    """
    settings = settings or InferSettings(write=_NEEDED)
    settings = replace(settings, mpp=settings.mpp if mpp is None else mpp)
    settings = replace(settings, write=tuple(dict.fromkeys((*choose_outputs(settings), *_NEEDED))))
    with TemporaryDirectory(prefix="glandseg-") as scratch:
        if isinstance(slide, np.ndarray):
            path = _write_image(slide, settings.mpp, Path(scratch))
        else:
            path = Path(slide)
        folder = Path(scratch) if out is None else Path(out)
        result = infer_slide(path, model.backend, model.file, settings, out=folder, say=say, warn=warn)
        paths = OutputPaths.of_slide(path, folder)
        return Segmentation(
            glands=tuple(_read_glands(paths[".glands.geojson"])),
            mask=np.asarray(tifffile.imread(paths[MASK_SUFFIX]), np.uint8),
            record=json.loads(paths.record.read_text(encoding="utf-8")),
            outputs=() if out is None else result.outputs,
        )


def _write_image(image: NDArray[np.uint8], mpp: float | None, folder: Path) -> Path:
    """Write an image as a lossless TIFF of tiles that knows its um/px."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise BadInputError(f"slide: an array is (H, W, 3) uint8 RGB. Received: {image.shape} {image.dtype}")
    if mpp is None:
        raise BadInputError("mpp: an array does not say its um/px. Give mpp, such as 0.5 for 20x.")
    path = folder / "image.tif"
    per_cm = 1e4 / mpp
    tifffile.imwrite(
        path,
        image,
        tile=(256, 256),
        photometric="rgb",
        compression="deflate",
        resolution=(per_cm, per_cm),
        resolutionunit="CENTIMETER",
        metadata=None,
    )
    return path


def _read_glands(path: Path) -> Iterator[SegmentedGland]:
    """Read the glands from the outlines as written; parts that could not be read are no glands."""
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    glands = (item for item in features if item["properties"]["classification"]["name"] == "Gland")
    for number, feature in enumerate(glands, 1):
        measured = feature["properties"]["measurements"]
        yield SegmentedGland(
            id=feature["id"],
            number=number,
            polygon_l0=shape(feature["geometry"]),
            measurements={_FIELDS[label]: value for label, value in measured.items()},
        )
