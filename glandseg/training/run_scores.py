"""Scores of a run on the test images of its split, kept in its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from glandseg.core.errors import BadInputError
from glandseg.training.data.datasets import DataSet, Sample
from glandseg.training.evaluation.evaluate import score_model
from glandseg.training.evaluation.scored_model import open_model
from glandseg.training.run import RECORD, Run

Scores = Mapping[str, float]


def find_test(run: Run, data_set: DataSet) -> tuple[Sample, ...]:
    """Return the test samples of a run's split.

    Raises:
        BadInputError: If the run is of another data set.
    """
    parts = run.read_parts()
    if not set(parts) <= {sample.name for sample in data_set.samples}:
        raise BadInputError(f"{run.path}: was begun on other data. Give another --out folder.")
    return tuple(sample for sample in data_set.samples if parts.get(sample.name) == "test")


def is_scored(run: Run) -> bool:
    """Return whether a run is finished and its record has scores on the test images."""
    return (run.path / RECORD).is_file() and "test" in run.record.get("scores", {})


def score_run(run: Run, samples: Iterable[Sample], kind: str, image_um: float) -> Scores:
    """Score a run's segmenter on samples with outlines, at the run's own scales.

    Args:
        run: Finished run.
        samples: Samples with outline masks.
        kind: Kind of their data set; glands of "glas" are matched and scored too.
        image_um: Microns per pixel of the images.

    Returns:
        Scores by name, as in `Evaluation.list_scores`.
    """
    with open_model(run.path) as model:
        return score_model(model, samples, image_um, objects=kind == "glas")


def record_test_scores(run: Run, data_set: DataSet) -> None:
    """Score a run on the test images of its split, and keep the scores in its record."""
    record = run.record
    scores = score_run(run, find_test(run, data_set), data_set.kind, record["images_um_per_px"])
    run.write_record(scores=record["scores"] | {"test": scores})
