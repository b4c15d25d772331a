"""The teacher of a student: a run folder, or a model file."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from glandseg.core.errors import BadInputError
from glandseg.model.card import CORE, ModelCard
from glandseg.training.data.datasets import DataSet
from glandseg.training.data.splits import Split
from glandseg.training.evaluation.scored_model import ScoredModel, open_model
from glandseg.training.paths import is_file, is_folder
from glandseg.training.run import RECORD, Run
from glandseg.training.settings import TrainSettings

Source = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A teacher that has been opened once and works.

    Attributes:
        path: Run folder or model file.
        name: Name of the run or model.
        sha256: Hash of its weights or file.
        um_per_px: Microns per pixel at which it works.
        scales: Scales whose probabilities it averages.
        training: Its training data, as far as known.
        data: Kind of its training data set, if it is a run.
        seen: Names of the images that it was trained or validated on, if it is a run.
        has_core: Whether it maps cores too.
    """

    path: Path
    name: str
    sha256: str
    um_per_px: float
    scales: tuple[float, ...]
    training: tuple[Source, ...] = ()
    data: str | None = None
    seen: frozenset[str] = frozenset()
    has_core: bool = False

    def identify(self) -> dict[str, Any]:
        """Return what its probabilities depend on."""
        scales = list(self.scales)
        return {"name": self.name, "sha256": self.sha256, "um_per_px": self.um_per_px, "scales": scales}

    def describe(self, data_set: DataSet, split: Split) -> dict[str, Any]:
        """Return what a student's record keeps of it."""
        note = self.note_seen(data_set, split)
        sources = [dict(source) for source in self.training]
        return self.identify() | {"training": sources} | ({"note": note} if note else {})

    def note_seen(self, data_set: DataSet, split: Split) -> str:
        """Return a note on how many test images it has seen; empty if none."""
        test = {sample.name for sample in split.test} if self.data == data_set.kind else set()
        known = len(test & self.seen)
        return f"{known} of the {len(test)} test images are among those the teacher learned from" * (
            known > 0
        )


def refuse_idle_labels(settings: TrainSettings) -> None:
    """Refuse patch labels beside a teacher that replaces them, and no labels without a teacher.

    Raises:
        BadInputError: If labels and teacher do not go together.
    """
    if settings.teacher is None and settings.labels == "none":
        raise BadInputError("labels none: needs a teacher. Give --teacher.")
    if settings.teacher is not None and settings.labels == "patches":
        raise BadInputError(
            "labels patches: a teacher takes their place. Give --labels none, or outlines to mix in."
        )


def find_teacher(settings: TrainSettings, folder: Path | None) -> Teacher | None:
    """Open and close the teacher of a run; return None if the settings name none.

    Args:
        settings: Settings of the run.
        folder: Run folder of the student, if it was named.

    Raises:
        BadInputError: If the teacher is missing, unfinished, damaged, no gland segmenter, or the student.
    """
    if settings.teacher is None:
        return None
    path = Path(settings.teacher)
    if not (is_file(path) or is_folder(path)):
        raise BadInputError(
            f"{path}: no such teacher. Give --teacher a run folder of `glandseg train`, or a model file."
        )
    if folder is not None and folder.resolve() == path.resolve():
        raise BadInputError(f"{path}: cannot be teacher and student. Give another --out folder.")
    return identify_model(path)


def identify_model(path: Path) -> Teacher:
    """Open and close a run folder or a model file, and return what it is.

    Raises:
        BadInputError: If it is unfinished, damaged or no gland segmenter.
    """
    with open_teacher(path) as model:
        return Teacher(
            path=path,
            name=model.name,
            sha256=model.sha256,
            um_per_px=model.um_per_px,
            scales=model.scales,
            training=_list_sources(model, path),
            data=model.data,
            seen=model.seen,
            has_core=model.backend.classes > CORE,
        )


def open_teacher(path: Path) -> AbstractContextManager[ScoredModel]:
    """Open a teacher for a block, with as many threads as the training has."""
    return open_model(path, threads=torch.get_num_threads())


def _list_sources(model: ScoredModel, path: Path) -> tuple[Source, ...]:
    """List a model's training data: from its card, or from its run and the run's own teacher."""
    card = getattr(model.backend, "card", None)
    if isinstance(card, ModelCard):
        return tuple(card.training)
    record = Run(path).record if (path / RECORD).is_file() else {}
    own = ({"name": str(record["data"])},) if "data" in record else ()
    return (*own, *record.get("teacher", {}).get("training", ()))
