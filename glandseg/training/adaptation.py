"""Adaptation of a run to another data set with a fraction of its images (Feng et al. 2025, Fig. 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.core.system import hash_file
from glandseg.training.data.datasets import DataSet, find_samples
from glandseg.training.data.published_splits import split_data_set
from glandseg.training.loop.fit import Progress
from glandseg.training.run import Run, start_run
from glandseg.training.run_scores import Scores, find_test, is_scored, record_test_scores, score_run
from glandseg.training.settings import TrainSettings
from glandseg.training.train import train

STEPS, RATE_SHARE = 400, 0.2  # of fine-tuning: steps, and share of the source's learning rate
Report = Callable[[float, int, Progress], None]


@dataclass(frozen=True, kw_only=True)
class AdaptedRun:
    """A fine-tuned run and its scores on the test images.

    Attributes:
        path: Run folder.
        fraction: Fraction of the training images, above 0, at most 1.
        seed: Random seed of their choice and of the training.
        images: Number of training images.
        scores: Scores by name, as in `Evaluation.list_scores`.
    """

    path: Path
    fraction: float
    seed: int
    images: int
    scores: Scores


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """Scores of a run on another data set, before and after fine-tuning.

    Attributes:
        source: Folder of the adapted run.
        sha256: SHA-256 of its weights.
        data: Kind of the other data set.
        before: Scores on the test images without fine-tuning, at the source's um/px.
        runs: Fine-tuned runs by descending fraction, then by seed.
    """

    source: Path
    sha256: str
    data: str
    before: Scores
    runs: tuple[AdaptedRun, ...]


def plan_fine_tuning(source: Run) -> TrainSettings:
    """Return the settings to fine-tune a run on outlines: its own, with few and small steps."""
    settings = source.settings
    fit = settings.segmenter.fit
    gentle = replace(
        fit,
        steps=STEPS,
        epochs=None,  # epochs of few images would be too few steps
        lr=fit.lr * RATE_SHARE,
        warmup=min(fit.warmup, STEPS // 10),
        validate_every=min(fit.validate_every, STEPS // 4),
    )
    return replace(
        settings,
        labels="outlines",
        teacher=None,
        start_from=source.path.as_posix(),
        um_per_px=None,
        split="auto",
        segmenter=replace(settings.segmenter, fit=gentle, um_per_px=source.um_per_px),
    )


def adapt(
    source: Run,
    data: Path,
    folder: Path,
    settings: TrainSettings,
    *,
    fractions: Sequence[float],
    seeds: Sequence[int],
    report: Report = lambda fraction, seed, progress: None,
    say: Callable[[str], None] = lambda line: None,
) -> Adaptation:
    """Fine-tune a run on fractions of another data set and score each result on its test images.

    Finished runs are kept, an unfinished one is resumed.

    Args:
        source: Finished run.
        data: Folder of the other data set, with outlines.
        folder: Folder in which a run folder is created for each fraction and seed.
        settings: Settings as of `plan_fine_tuning`, possibly changed; fraction and seeds are replaced.
        fractions: Fractions of the training images, each above 0 and at most 1.
        seeds: Random seeds of the choice of images and of the training.
        report: Called with (fraction, seed, progress) after every step.
        say: Called with each line of the log.

    Raises:
        BadInputError: If data or settings cannot be used, or the folder holds other runs.
    """
    data_set = find_samples(data)
    if not split_data_set(data_set, settings.split, settings.shares, settings.split_seed).test:
        raise BadInputError(f"{data}: no image falls to the test. Give more patients, or other shares.")
    done = [
        _adapt_once(data, data_set, folder, _set_fraction(settings, fraction, seed), report, say)
        for fraction in sorted(set(fractions), reverse=True)
        for seed in seeds
    ]
    return Adaptation(
        source=source.path,
        sha256=hash_file(source.segmenter_path),
        data=data_set.kind,
        before=_score_source(source, Run(done[0].path), data_set),
        runs=tuple(done),
    )


def _set_fraction(settings: TrainSettings, fraction: float, seed: int) -> TrainSettings:
    settings = settings if settings.labels == "patches" else drop_weights(settings)
    return replace(settings, fraction=fraction).seed(seed)


def drop_weights(settings: TrainSettings) -> TrainSettings:
    """Return settings without pretrained weights, which the source replaces."""
    return replace(settings, weights=None, segmenter=replace(settings.segmenter, weights=None))


def _adapt_once(
    data: Path,
    data_set: DataSet,
    folder: Path,
    settings: TrainSettings,
    report: Report,
    say: Callable[[str], None],
) -> AdaptedRun:
    fraction, seed = settings.fraction, settings.segmenter.fit.seed
    path = folder / f"{100 * fraction:g}-percent-seed-{seed}"
    run = start_run(path, settings)
    if is_scored(run):
        find_test(run, data_set)  # raises for another data set's run
        say(f"{path}: finished already")
    else:
        run = train(
            data, path, settings, report=lambda stage, progress: report(fraction, seed, progress), say=say
        )
        record_test_scores(run, data_set)
    record = run.record
    return AdaptedRun(
        path=path,
        fraction=fraction,
        seed=seed,
        images=record["images"]["train"],
        scores=record["scores"]["test"],
    )


def _score_source(source: Run, adapted: Run, data_set: DataSet) -> Scores:
    """Score the source on the test images, once: the first adapted run's record stores the scores."""
    record = adapted.record
    sha256 = hash_file(source.segmenter_path)
    if record.get("before", {}).get("sha256") != sha256:
        scores = score_run(source, find_test(adapted, data_set), data_set.kind, record["images_um_per_px"])
        adapted.write_record(before={"sha256": sha256, "scores": scores})
    kept: Scores = adapted.record["before"]["scores"]
    return kept
