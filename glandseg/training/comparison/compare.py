"""A comparison, read from top to bottom: settings, a run for each method and seed, scores, all runs found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glandseg.core.atomic import explain_disk_errors
from glandseg.core.callbacks import Say
from glandseg.core.errors import BadInputError
from glandseg.training.classifier_settings import CLASSIFIER
from glandseg.training.comparison.method_table import rank_method
from glandseg.training.comparison.stage_1_scores import score_stage_1
from glandseg.training.data.datasets import DataSet, find_samples
from glandseg.training.data.published_splits import split_data_set
from glandseg.training.loop.fit import Progress
from glandseg.training.run import RECORD, SETTINGS, Run, start_run
from glandseg.training.run_scores import Scores, find_test, is_scored, record_test_scores
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import read_settings, write_settings
from glandseg.training.train import train

Report = Callable[[str, int, str, Progress], None]


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """A run of a comparison and its scores.

    Attributes:
        path: Run folder.
        method: Name of the method.
        seed: Random seed of both stages.
        stage_1: mIoU in percent on the training images: "cam" and "pseudo_mask"; empty without a classifier.
        test: Scores on the test images by name, as in `Evaluation.list_scores`.
        record: Record of the run.
    """

    path: Path
    method: str
    seed: int
    stage_1: Scores
    test: Scores
    record: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All scored runs of a comparison.

    Attributes:
        folder: Folder of the comparison.
        data_set: Data set.
        runs: Runs in the order of the table, then by seed.
    """

    folder: Path
    data_set: DataSet
    runs: tuple[ComparedRun, ...]

    def group(self) -> dict[str, list[ComparedRun]]:
        """Return the runs by method."""
        groups: dict[str, list[ComparedRun]] = {}
        for run in self.runs:
            groups.setdefault(run.method, []).append(run)
        return groups


def compare(
    data: Path,
    folder: Path,
    settings: TrainSettings,
    *,
    methods: Mapping[str, TrainSettings],
    seeds: Sequence[int],
    report: Report = lambda method, seed, stage, progress: None,
    say: Say = lambda line: None,
) -> Comparison:
    """Train each method with each seed, and score both stages.

    Finished runs are kept, an unfinished one is resumed. The first seed of all methods comes first, so that
    an interrupted comparison has a whole table.

    Args:
        data: Folder of a data set whose test images have outlines.
        folder: Folder of the comparison; runs of earlier calls with the same settings belong to it too.
        settings: Settings that all methods share.
        methods: Settings of each method, as of `find_methods`; the seeds are replaced.
        seeds: Random seeds.
        report: Called with (method, seed, stage, progress) after every step.
        say: Called with each line of the log.

    Raises:
        BadInputError: If data or settings cannot be used, or the folder holds another comparison.
        TrainingStopped: If a stop was requested; the same call resumes.
    """
    data_set = find_samples(data)
    refuse_unscorable(data, data_set, settings)
    start_comparison(folder, settings)
    for seed in seeds:
        for method, own in methods.items():
            _run_once(data, data_set, folder, method, own.seed(seed), report, say)
    return Comparison(folder=folder, data_set=data_set, runs=list_runs(folder, data_set))


def refuse_unscorable(data: Path, data_set: DataSet, settings: TrainSettings) -> None:
    """Raise unless there are test images and all of them have outlines.

    Raises:
        BadInputError: With the rule.
    """
    test = split_data_set(data_set, settings.split, settings.shares, settings.split_seed).test
    lacking = sum(sample.mask_path is None for sample in test)
    if not test or lacking:
        raise BadInputError(
            f"{data}: test images with outlines are what methods are compared on. Received: {len(test)} test "
            f"images, {lacking} of them without. Add masks, or more patients."
        )


def start_comparison(folder: Path, settings: TrainSettings) -> None:
    """Write the shared settings of a new comparison, or check those of an earlier call.

    Raises:
        BadInputError: If the folder holds a comparison with other settings.
    """
    path = folder / SETTINGS
    with explain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            write_settings(path, settings)
        elif read_settings(path) != settings:
            raise BadInputError(
                f"{folder}: holds a comparison with other settings. Give another --out folder."
            )


def list_runs(folder: Path, data_set: DataSet) -> tuple[ComparedRun, ...]:
    """Read all scored runs of a comparison, in the order of the table.

    Raises:
        BadInputError: If one is of another data set.
    """
    paths = [path.parent for path in folder.glob(f"*/seed-*/{RECORD}")]
    paths.sort(key=lambda path: (rank_method(path.parent.name), len(path.name), path.name))
    runs = []
    for path in paths:
        run = Run(path)
        if is_scored(run):
            find_test(run, data_set)  # raises for another data set's run
            record = run.record
            runs.append(
                ComparedRun(
                    path=path,
                    method=path.parent.name,
                    seed=run.settings.segmenter.fit.seed,
                    stage_1=record.get("stage_1", {}),
                    test=record["scores"]["test"],
                    record=record,
                )
            )
    return tuple(runs)


def _run_once(
    data: Path,
    data_set: DataSet,
    folder: Path,
    method: str,
    settings: TrainSettings,
    report: Report,
    say: Say,
) -> None:
    """Train and score a method with a seed, unless that is done."""
    seed = settings.segmenter.fit.seed
    path = folder / method / f"seed-{seed}"
    run = start_run(path, settings)
    if is_scored(run):
        say(f"{path}: finished already")
        return
    run = train(
        data,
        path,
        settings,
        report=lambda stage, progress: report(method, seed, stage, progress),
        say=say,
    )
    if settings.labels == "patches" and CLASSIFIER in settings.classifier.weigh_sources():
        parts, um_per_px = run.read_parts(), run.record["images_um_per_px"]
        learned = [sample for sample in data_set.samples if parts.get(sample.name) == "train"]
        run.write_record(stage_1=score_stage_1(run, learned, um_per_px))
    record_test_scores(run, data_set)
    say(f"{path}: test mIoU {run.record['scores']['test']['miou']:.2f} %")
