"""A segmenter fine-tuned on corrected regions, and compared on those that were held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glandseg.core.callbacks import Say
from glandseg.model.card import ModelCard
from glandseg.model.onnx.onnx_file import read_onnx_card
from glandseg.training.adaptation import plan_fine_tuning
from glandseg.training.classifier_settings import BUNDLED
from glandseg.training.data.corrections import cut_corrections, find_corrected_slides
from glandseg.training.data.datasets import find_samples
from glandseg.training.evaluation.evaluate import score_model
from glandseg.training.evaluation.scored_model import open_model
from glandseg.training.run import Run, open_run
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings, read_preset
from glandseg.training.stages import Report
from glandseg.training.start import find_start
from glandseg.training.train import train

DATA = "corrections"  # folder of the data set, in that of the run
BUNDLED_SKIP = 4  # of the bundled model's head
STEPS, RATE = 300, 2e-4
Scores = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Correction:
    """A run fine-tuned on corrected regions, with the scores of the regions that were held out.

    Attributes:
        run: Fine-tuned run.
        before: Scores of the model that it started from, by name.
        after: Its own.
        facts: Fields of the card of the model to export.
    """

    run: Run
    before: Scores
    after: Scores
    facts: Mapping[str, Any]

    @property
    def is_better(self) -> bool:
        """Whether the Dice of the held-out regions has risen."""
        return self.after["dice"] > self.before["dice"]


def plan_correction(start_from: str) -> TrainSettings:
    """Return the settings to fine-tune on corrections: those of the run, with few small steps.

    Args:
        start_from: Run folder, or "bundled".

    Raises:
        BadInputError: If it is neither.
    """
    if start_from != BUNDLED:
        return plan_fine_tuning(open_run(Path(start_from)))
    card = _read_card(start_from)
    return override_settings(
        read_preset("edge"),
        [
            "labels=outlines",
            f"start_from={BUNDLED}",
            f"segmenter.skip={BUNDLED_SKIP}",
            f"segmenter.um_per_px={choose_um(card)}",
            f"segmenter.fit.steps={STEPS}",
            f"segmenter.fit.lr={RATE}",
            "segmenter.fit.warmup=30",
            "segmenter.fit.validate_every=100",
        ],
    )


def choose_um(card: ModelCard) -> float:
    """Return the um/px at which a model sees its windows: with a single scale, that of the enlarged image."""
    scale = card.scales[0] if len(card.scales) == 1 else 1.0
    return round(card.um_per_px / scale, 4)


def learn_corrections(
    paths: Sequence[Path],
    folder: Path,
    settings: TrainSettings,
    *,
    mpp: float | None,
    report: Report,
    say: Say,
) -> Correction:
    """Fine-tune on the corrected regions of slides, and score the held-out ones before and after.

    Args:
        paths: Slides, GeoJSON files or folders of both.
        folder: Run folder; an unfinished run there is resumed.
        settings: Settings as of `plan_correction`, possibly changed.
        mpp: Um per level-0 px, in place of the slides' own.
        report: Called with (stage, progress) after each step.
        say: Called with each line of the log.

    Raises:
        BadInputError: If slides, corrections or settings cannot be used.
        TrainingStopped: If a stop was requested; the same call resumes.
    """
    start_from = settings.start_from or BUNDLED
    image_um = settings.segmenter.um_per_px or open_run(Path(start_from)).um_per_px
    data = folder.with_name(f"{folder.name}-{DATA}")
    cut_corrections(find_corrected_slides(paths), data, image_um, say=say, mpp=mpp)
    run = train(data, folder, replace(settings, um_per_px=image_um), report=report, say=say)
    held_out = [sample for sample in find_samples(data).samples if sample.part == "test"]
    with open_model(find_start(start_from) if start_from == BUNDLED else Path(start_from)) as model:
        before = score_model(model, held_out, image_um, objects=True)
    with open_model(run.path) as model:
        after = score_model(model, held_out, image_um, objects=True)
    run.write_record(corrections={"before": before, "after": after})
    return Correction(run=run, before=before, after=after, facts=_describe(start_from))


def _describe(start_from: str) -> dict[str, Any]:
    """Return the facts of the new model's card: those of the bundled one, and the corrections."""
    if start_from != BUNDLED:
        return {}
    card = _read_card(start_from)
    learned = {"name": "regions corrected by the user", "licence": "not stated"}
    return {
        "tissue": card.tissue,
        "stain": card.stain,
        "licence": card.licence,
        "training": [*card.training, learned],
        "separation": asdict(card.separation) if card.separation else None,
    }


def _read_card(start_from: str) -> ModelCard:
    return read_onnx_card(find_start(start_from))
