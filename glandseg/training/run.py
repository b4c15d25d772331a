"""A run folder: settings, split, pseudo masks, weights and record of one training."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import glandseg
from glandseg.core.atomic import explain_disk_errors, write_whole
from glandseg.core.errors import BadInputError, shorten
from glandseg.core.folder_lock import lock_folder
from glandseg.core.units import is_believable
from glandseg.training.data.decoding import read_grey
from glandseg.training.data.image_file import encode_png
from glandseg.training.data.splits import Split
from glandseg.training.loop.precision import fix_precision
from glandseg.training.paths import is_file
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import read_settings, write_settings

_LABEL_TO_GREY = np.full(256, 128, np.uint8)
_LABEL_TO_GREY[:2] = 0, 255
_GREY_TO_LABEL = np.full(256, 255, np.uint8)
_GREY_TO_LABEL[[0, 255]] = 0, 1
SETTINGS, SPLIT, RECORD = "settings.yaml", "split.csv", "run.json"
CLASSIFIER, SEGMENTER = "classifier.safetensors", "segmenter.safetensors"
SPLIT_HEADER, PARTS = ("name", "group", "part"), ("train", "val", "test")


@dataclass(frozen=True)
class Run:
    """The folder of one training.

    Attributes:
        path: Run folder.
    """

    path: Path

    @property
    def settings(self) -> TrainSettings:
        """Settings of the run."""
        return read_settings(self.path / SETTINGS)

    @property
    def record(self) -> dict[str, Any]:
        """Facts of the run: data set, um/px, scores.

        Raises:
            BadInputError: If it cannot be read.
        """
        path = self.path / RECORD
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise _build_record_error(path, shorten(error)) from None
        if not isinstance(record, dict):
            raise _build_record_error(path, "not an object")
        return record

    @property
    def um_per_px(self) -> float:
        """Microns per pixel at which the segmenter works, as recorded."""
        value = self.record.get("um_per_px")
        if isinstance(value, bool) or not isinstance(value, int | float) or not is_believable(value):
            raise _build_record_error(self.path / RECORD, f"um_per_px is {str(value)[:40]}")
        return float(value)

    @property
    def classifier_path(self) -> Path:
        """Path of the classifier's weights."""
        return self.path / CLASSIFIER

    @property
    def segmenter_path(self) -> Path:
        """Path of the segmenter's weights."""
        return self.path / SEGMENTER

    @property
    def pseudo_masks_path(self) -> Path:
        """Folder of the pseudo masks, one PNG per image."""
        return self.path / "pseudo_masks"

    def has_pseudo_mask(self, name: str) -> bool:
        """Return whether an image's pseudo mask exists."""
        return self._pseudo_mask_path(name).is_file()

    def read_pseudo_mask(self, name: str) -> NDArray[np.uint8]:
        """Read an image's pseudo mask, (H, W) uint8: 0 non-gland, 1 gland, 255 ignored."""
        grey = read_grey(self._pseudo_mask_path(name))
        return np.asarray(_GREY_TO_LABEL[grey], np.uint8)

    def write_pseudo_mask(self, name: str, mask: NDArray[np.uint8]) -> None:
        """Write an image's pseudo mask as a viewable PNG: gland white, ignored grey."""
        _write_grey(self._pseudo_mask_path(name), _LABEL_TO_GREY[mask])

    def read_soft_mask(self, name: str) -> NDArray[np.uint8] | None:
        """Read an image's soft mask, (H, W) uint8, the share of votes for gland; None without one."""
        path = self._soft_mask_path(name)
        return read_grey(path) if path.is_file() else None

    def write_soft_mask(self, name: str, mask: NDArray[np.uint8]) -> None:
        """Write an image's soft mask as PNG."""
        _write_grey(self._soft_mask_path(name), mask)

    def _soft_mask_path(self, name: str) -> Path:
        return self.path / "soft_masks" / f"{name}.png"

    def _pseudo_mask_path(self, name: str) -> Path:
        return self.pseudo_masks_path / f"{name}.png"

    def write_record(self, **facts: Any) -> None:
        """Add facts to the record."""
        path = self.path / RECORD
        record = self.record if path.is_file() else {"glandseg": glandseg.__version__}
        with write_whole(path) as part:
            part.write_text(json.dumps(record | facts, indent=1), encoding="utf-8")

    def read_parts(self) -> dict[str, str]:
        """Read each image's part by name; empty if the run has no split.

        Raises:
            BadInputError: If the table is damaged.
        """
        return {row[0]: row[2] for row in self._read_split()[1:]}

    def _read_split(self) -> list[tuple[str, ...]]:
        path = self.path / SPLIT
        if not path.is_file():
            return []
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = [tuple(row) for row in csv.reader(file)]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise _build_record_error(path, shorten(error)) from None
        if any(len(row) != len(SPLIT_HEADER) for row in rows) or rows[:1] != [SPLIT_HEADER]:
            raise _build_record_error(path, "not the columns name, group, part")
        return rows

    def write_split(self, split: Split) -> None:
        """Write the part of each image.

        Raises:
            BadInputError: If the run was started with another split, so on other data.
        """
        rows = [SPLIT_HEADER]
        for part in PARTS:
            rows += [(sample.name, sample.group, part) for sample in split.part(part)]
        path = self.path / SPLIT
        if path.is_file() and self._read_split() != rows:
            raise BadInputError(f"{self.path}: was started on other data. Give another --out folder.")
        with write_whole(path) as whole, whole.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)


def _write_grey(path: Path, values: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(path) as part:
        encode_png(part, values)


def _build_record_error(path: Path, reason: str) -> BadInputError:
    return BadInputError(
        f"{path}: damaged record of a run ({reason}). Repeat `glandseg train` with another --out folder."
    )


def name_run(folder: Path | None) -> Path:
    """Return the given run folder, else make one below `runs`, named by the time."""
    if folder is not None:
        return folder
    stem = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        path = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        with explain_disk_errors(path), contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            break
    return path


@contextlib.contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run folder: two would mix their steps, logs and weights.

    Args:
        folder: Run folder; it is made.

    Raises:
        EnvironmentLacksError: Another process holds it, or it cannot be written.
    """
    busy = f"{folder}: another glandseg trains in this folder. Wait for it, or give another --out."
    with contextlib.ExitStack() as held:
        with explain_disk_errors(folder):
            held.enter_context(lock_folder(folder, busy, is_private=False))
        yield


def start_run(folder: Path | None, settings: TrainSettings) -> Run:
    """Make a run folder, or resume an unfinished one.

    Args:
        folder: Run folder; None makes a new one below `runs`.
        settings: Settings of the run; a precision "auto" is stored as the one that it means here, and in a
            resumed run means the stored one.

    Raises:
        BadInputError: If the folder holds a run with other settings.
        EnvironmentLacksError: If it cannot be written, or the run's precision is not available here.
    """
    path = name_run(folder)
    with explain_disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        stored = read_settings(path / SETTINGS) if (path / SETTINGS).is_file() else None
        settings = _fix_precisions(settings, stored)
        if stored is None:
            write_settings(path / SETTINGS, settings)
        elif stored != settings:
            raise BadInputError(f"{path}: holds a run with other settings. Give another --out folder.")
    return Run(path)


def _fix_precisions(settings: TrainSettings, stored: TrainSettings | None) -> TrainSettings:
    classifier, segmenter = settings.classifier, settings.segmenter
    before = (stored.classifier.fit.precision, stored.segmenter.fit.precision) if stored else (None, None)
    return replace(
        settings,
        classifier=replace(classifier, fit=fix_precision(classifier.fit, before[0])),
        segmenter=replace(segmenter, fit=fix_precision(segmenter.fit, before[1])),
    )


def open_run(path: Path) -> Run:
    """Open a finished run.

    Raises:
        BadInputError: If it is not a run folder, or unfinished.
    """
    if not is_file(path / SETTINGS):
        raise BadInputError(
            f"{path}: not a run folder, it lacks {SETTINGS}. Give a folder that `glandseg train` made."
        )
    run = Run(path)
    if not run.segmenter_path.is_file() or not (path / RECORD).is_file():
        raise BadInputError(f"{path}: this run did not finish. Repeat its `glandseg train` to resume it.")
    return run


def find_newest_run(folder: Path = Path("runs")) -> Run:
    """Open the newest finished run.

    Raises:
        BadInputError: If there is none.
    """
    segmenters = [path for path in folder.glob(f"*/{SEGMENTER}") if path.with_name(RECORD).is_file()]
    finished = sorted(segmenters, key=lambda path: path.stat().st_mtime)
    if not finished:
        raise BadInputError(
            f"{folder}: no finished run. Make one with `glandseg train DATA`, or name a run folder."
        )
    return open_run(finished[-1].parent)
