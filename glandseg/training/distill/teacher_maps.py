"""A teacher's probability maps of all images: made once, kept in the run folder, never of two teachers.

RUN/teacher.json            identity of the teacher and of the images
RUN/teacher/NAME.png        probability of gland, white for certainty, at the image's own size
RUN/teacher_core/NAME.png   probability of core, where teacher and student have that channel
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.core.atomic import write_whole
from glandseg.core.errors import BadInputError
from glandseg.core.json_text import parse_json
from glandseg.core.system import hash_file
from glandseg.model.backend import Backend
from glandseg.model.card import CLASSES, CORE
from glandseg.training.data.datasets import Sample
from glandseg.training.data.decoding import read_grey
from glandseg.training.data.image_file import encode_png
from glandseg.training.distill.teacher import Teacher, open_teacher
from glandseg.training.evaluation.scored_model import ScoredModel
from glandseg.training.evaluation.segment import segment_file

RECORD, FOLDER, CORE_FOLDER = "teacher.json", "teacher", "teacher_core"
REPORT_EVERY = 100


@dataclass(frozen=True)
class TeacherMaps:
    """The maps of gland, or of core, in a run folder.

    Attributes:
        run_path: Run folder.
        folder: Folder of the maps below it.
    """

    run_path: Path
    folder: str = FOLDER

    def find(self, name: str) -> Path:
        """Return the path of an image's map."""
        return self.run_path / self.folder / f"{name}.png"

    def read(self, name: str) -> NDArray[np.uint8]:
        """Read an image's map, (H, W) uint8 probability, 255 for certainty."""
        return read_grey(self.find(name))

    def write(self, name: str, probability: NDArray[np.uint8]) -> None:
        """Write an image's map atomically."""
        path = self.find(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as part:
            encode_png(part, probability)

    def claim(self, identity: dict[str, Any]) -> None:
        """Record the identity of teacher and images, or compare it with the record.

        Raises:
            BadInputError: If the record differs.
        """
        path = self.run_path / RECORD
        if not path.is_file():
            with write_whole(path) as part:
                part.write_text(json.dumps(identity, indent=1), encoding="utf-8")
        elif _read_json(path) != identity:
            raise BadInputError(
                f"{path}: was started with another teacher or other images. Give another --out folder."
            )


def make_teacher_maps(
    run_path: Path,
    teacher: Teacher,
    samples: Sequence[Sample],
    um_per_px: float,
    say: Callable[[str], None],
    folder: str = FOLDER,
) -> TeacherMaps:
    """Make the maps that the run lacks, at the teacher's um/px and scales.

    Args:
        run_path: Run folder.
        teacher: Teacher to run.
        samples: Images to map.
        um_per_px: Microns per pixel of the images.
        say: Called with each line of the console log.
        folder: `FOLDER` for maps of gland, `CORE_FOLDER` for maps of core, which the teacher must have.

    Raises:
        BadInputError: If the run has maps of another teacher or of other images.
    """
    maps = TeacherMaps(run_path, folder)
    images = {"images": len(samples), "images_um_per_px": um_per_px, "images_sha256": hash_images(samples)}
    maps.claim(teacher.identify() | images)
    missing = [sample for sample in samples if not maps.find(sample.name).is_file()]
    kind = "core maps" if folder == CORE_FOLDER else "maps"
    say(f"teacher: {teacher.name}, {teacher.um_per_px:g} um/px, {len(missing)} {kind} to make")
    if not missing:
        return maps
    with open_teacher(teacher.path) as model:
        if folder == CORE_FOLDER:
            model = replace(model, backend=_CoreBackend(model.backend))
        for count, sample in enumerate(missing, start=1):
            maps.write(sample.name, map_image(sample, model, um_per_px))
            if count % REPORT_EVERY == 0:
                say(f"teacher: {count} of {len(missing)} maps made")
    return maps


class _CoreBackend(contextlib.nullcontext["_CoreBackend"]):
    """A backend whose gland is another's core, so that cores are mapped as glands are.

    Args:
        backend: Backend with a core channel.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(self)
        self.name, self.classes = backend.name, len(CLASSES)
        self._backend = backend

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute (N, 2, H, W) uint8, out of a core and in it, of (N, H, W, 3) uint8 RGB windows."""
        core = self._backend.infer(windows)[:, CORE]
        return np.stack([255 - core, core], axis=1)


def map_image(sample: Sample, model: ScoredModel, um_per_px: float) -> NDArray[np.uint8]:
    """Compute a model's probability of gland at each pixel, (H, W) uint8, 255 for certainty."""
    found = segment_file(sample, model.backend, um_per_px, model.um_per_px, model.scales)
    return np.rint(found).astype(np.uint8)


def hash_images(samples: Sequence[Sample]) -> str:
    """Compute one sha256 of the names and bytes of images, in hexadecimal, independent of their order."""
    lines = sorted(f"{hash_file(sample.path)} {sample.name}\n" for sample in samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _read_json(path: Path) -> Any:
    try:
        return parse_json(path.read_bytes())
    except ValueError:
        return None
