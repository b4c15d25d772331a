"""The big network that a small one learns from: a run folder, or a model file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from glandseg.core.errors import BadInputError
from glandseg.model.card import ModelCard
from glandseg.training.data.datasets import DataSet
from glandseg.training.data.splits import Split
from glandseg.training.evaluation.scored_model import ScoredModel, open_model
from glandseg.training.paths import is_file, is_folder
from glandseg.training.run import RECORD, Run
from glandseg.training.settings import TrainSettings

Source = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A teacher that was opened once and works.

    Attributes:
        path: of the run folder or model file.
        name: of the run or model.
        sha256: of its weights or file.
        um_per_px: at which it works.
        scales: whose probabilities it averages.
        training: what it learned from, as far as it tells.
        data: kind of the data set that it learned from, where a run tells.
        seen: names of the images that it learned from or was chosen on, where a run tells.
    """

    path: Path
    name: str
    sha256: str
    um_per_px: float
    scales: tuple[float, ...]
    training: tuple[Source, ...] = ()
    data: str | None = None
    seen: frozenset[str] = frozenset()

    def identify(self) -> dict[str, Any]:
        """Tell what its probabilities depend on."""
        scales = list(self.scales)
        return {"name": self.name, "sha256": self.sha256, "um_per_px": self.um_per_px, "scales": scales}

    def describe(self, data_set: DataSet, split: Split) -> dict[str, Any]:
        """Tell of it what a run's record keeps."""
        note = self.note_seen(data_set, split)
        sources = [dict(source) for source in self.training]
        return self.identify() | {"training": sources} | ({"note": note} if note else {})

    def note_seen(self, data_set: DataSet, split: Split) -> str:
        """Say how many of the test images it has seen; empty where none."""
        test = {sample.name for sample in split.test} if self.data == data_set.kind else set()
        known = len(test & self.seen)
        return f"{known} of the {len(test)} test images are among those the teacher learned from" * (
            known > 0
        )


def refuse_idle_labels(settings: TrainSettings) -> None:
    """Refuse labels beside a teacher that replaces them, and none without a teacher.

    Raises:
        BadInputError: if that is so.
    """
    if settings.teacher is None and settings.labels == "none":
        raise BadInputError("labels none: only a teacher teaches without labels. Give --teacher.")
    if settings.teacher is not None and settings.labels == "patches":
        raise BadInputError(
            "labels patches: a teacher takes their place. Give --labels none, or outlines to mix in."
        )


def find_teacher(settings: TrainSettings, folder: Path | None) -> Teacher | None:
    """Open the teacher of a run and let it go again; none where the settings name none.

    Args:
        settings: of the run.
        folder: of the run that is to learn, if it was named.

    Raises:
        BadInputError: if the teacher is missing, unfinished, damaged, no gland segmenter, or that run.
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
        )


@contextmanager
def open_teacher(path: Path) -> Iterator[ScoredModel]:
    """Open a teacher until the block ends, with as many threads as the training has."""
    with open_model(path, threads=torch.get_num_threads()) as model:
        yield model


def _list_sources(model: ScoredModel, path: Path) -> tuple[Source, ...]:
    """List what a model learned from: its card says, or its run and the run's own teacher."""
    card = getattr(model.backend, "card", None)
    if isinstance(card, ModelCard):
        return tuple(card.training)
    record = Run(path).record if (path / RECORD).is_file() else {}
    own = ({"name": str(record["data"])},) if "data" in record else ()
    return (*own, *record.get("teacher", {}).get("training", ()))
