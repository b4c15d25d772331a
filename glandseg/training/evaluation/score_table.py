"""The scores of one or more models: a Markdown table to read, and JSON with everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import glandseg
from glandseg.runtime.settings import ADAPTIVE, DEFAULTS, InferSettings
from glandseg.training.data.corrupt_images import note_masks
from glandseg.training.data.published_splits import split_data_set
from glandseg.training.data.sample import DataSet, Sample
from glandseg.training.evaluation.evaluate import Evaluation
from glandseg.training.evaluation.scored_model import ScoredModel
from glandseg.training.evaluation.significance import Spread, compare_groups, mark_significance, summarise

COLUMNS = {
    "miou": "mIoU %",
    "gland_iou": "gland IoU %",
    "f1": "F1 %",
    "dice": "Dice %",
    "mean_image_miou": "mIoU by image %",
    "object_f1": "object F1 %",
    "object_dice": "object Dice %",
    "object_hausdorff_px": "object Hausdorff px",
}
SETTINGS = ("adaptive", "flips", "threshold", "min_gland_um2", "min_lumen_um2")
Parts = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A model and its scores.

    Attributes:
        model: The model, closed; only its facts are used.
        name: Name, unique in the table.
        evaluation: Scores of all images of all parts.
        against: Whether it belongs to the group that the others are compared with.
    """

    model: ScoredModel
    name: str
    evaluation: Evaluation
    against: bool = False


@dataclass(frozen=True)
class ScoreTable:
    """The scores of models on parts of a data set.

    Attributes:
        data_set: Data set that was evaluated.
        parts: Samples by part.
        scored: Models, those of the main group first.
        settings: Settings with which the glands were found.

    Raises:
        BadInputError: If two groups are compared and one has fewer than two models.
    """

    data_set: DataSet
    parts: Parts
    scored: Sequence[Scored]
    settings: InferSettings = DEFAULTS

    @property
    def all_parts(self) -> Parts:
        """The parts and, where there are several, their union."""
        together = {sample.name: sample for part in self.parts.values() for sample in part}
        several = {"+".join(self.parts): tuple(together.values())} if len(self.parts) > 1 else {}
        return {**self.parts, **several}

    def list_scores(self, part: str) -> dict[str, dict[str, float]]:
        """Return each model's scores on a part, by its name."""
        samples = self.all_parts[part]
        return {each.name: each.evaluation.pick(samples).list_scores() for each in self.scored}

    def summarise(self, part: str) -> dict[str, dict[str, Spread]]:
        """Return the spread of every score on a part, for each group of two or more models."""
        scores = self.list_scores(part)
        groups = {
            title: self._list_names(against) for against, title in ((False, "models"), (True, "against"))
        }
        return {
            title: {key: summarise([scores[name][key] for name in names]) for key in scores[names[0]]}
            for title, names in groups.items()
            if len(names) > 1
        }

    def compare(self, part: str) -> dict[str, float]:
        """Return the p-value of every score on a part between both groups; empty for one group."""
        names, others = self._list_names(False), self._list_names(True)
        if not others:
            return {}
        scores = self.list_scores(part)
        keys = [key for key in COLUMNS if key in scores[names[0]]]
        return {
            key: compare_groups(*([scores[n][key] for n in group] for group in (names, others)))
            for key in keys
        }

    def list_notes(self) -> list[str]:
        """Return remarks for readers of the scores, a line each."""
        published = {sample.part for part in self.parts.values() for sample in part if sample.part}
        split = split_data_set(self.data_set) if published - {"train"} else None
        notes = [f"{note}." for note in (*self.data_set.notes, *self._note_masks())]
        notes += [f"{self.data_set.kind}: {split.note}."] if split and split.note else []
        notes += self._note_settings()
        names = {sample.name for part in self.parts.values() for sample in part}
        for each in self.scored:
            seen = len(names & each.model.seen) if each.model.data == self.data_set.kind else 0
            if seen:
                notes.append(f"{each.name} was trained or validated on {seen} of these {len(names)} images.")
        return notes

    def _note_settings(self) -> list[str]:
        scales = ",".join(f"{scale:g}" for scale in self.settings.scales or ())
        scales = ADAPTIVE if self.settings.adaptive else scales
        options = [*([f"--scales {scales}"] if scales else []), *(["--flips"] if self.settings.flips else [])]
        return [f"Run with {' '.join(options)}."] if options else []

    def _note_masks(self) -> tuple[str, ...]:
        samples = self.scored[0].evaluation.samples if self.scored else {}
        return note_masks({name: score.truth for name, score in samples.items() if score.truth})

    def to_markdown(self) -> str:
        """Format the table, with the notes below it."""
        rows = [row for part in self.all_parts for row in self._list_rows(part)]
        keys = [key for key in COLUMNS if any(key in cells for *_, cells in rows)]
        header = ["model", "part", "images", *(COLUMNS[key] for key in keys)]
        lines = [header, ["---"] * 3 + ["--:"] * len(keys)]
        lines += [
            [name, part, images, *(cells.get(key, "") for key in keys)] for name, part, images, cells in rows
        ]
        return "\n".join([format_rows(lines), *(f"{note}\n" for note in self.list_notes())])

    def to_json(self) -> dict[str, Any]:
        """Return everything: models with their hashes, scores by part and by image, spreads, p-values."""
        return {
            "glandseg": glandseg.__version__,
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "data": self.data_set.kind,
            "parts": {part: [sample.name for sample in samples] for part, samples in self.parts.items()},
            "settings": {name: getattr(self.settings, name) for name in SETTINGS},
            "models": [self._describe(each) for each in self.scored],
            "spreads": {part: _to_plain(self.summarise(part)) for part in self.all_parts},
            "p_values": {part: self.compare(part) for part in self.all_parts},
            "notes": self.list_notes(),
        }

    def _list_names(self, against: bool) -> list[str]:
        return [each.name for each in self.scored if each.against is against]

    def _list_rows(self, part: str) -> list[tuple[str, str, str, dict[str, str]]]:
        count = str(len(self.all_parts[part]))
        rows = [
            (name, part, count, {key: f"{scores[key]:.2f}" for key in COLUMNS if key in scores})
            for name, scores in self.list_scores(part).items()
        ]
        for group, spreads in self.summarise(part).items():
            cells = {key: str(spread) for key, spread in spreads.items() if key in COLUMNS}
            rows.append((f"{group}: mean±std of {spreads['miou'].runs}", part, count, cells))
        if p_values := self.compare(part):
            cells = {key: f"{p:.2g} {mark_significance(p)}".strip() for key, p in p_values.items()}
            rows.append(("p-value", part, count, cells))
        return rows

    def _describe(self, each: Scored) -> dict[str, Any]:
        model = each.model
        return {
            "name": each.name,
            "group": "against" if each.against else "models",
            "file": model.path.name,
            "sha256": model.sha256,
            "um_per_px": model.um_per_px,
            "scales": list(self.settings.choose_scales(model.scales)[0]),
            "flips": self.settings.flips or model.flips,
            "backend": model.backend.name,
            "scores": {part: self.list_scores(part)[each.name] for part in self.all_parts},
            "images": {name: score.list_scores() for name, score in each.evaluation.samples.items()},
        }


def format_rows(lines: Iterable[Sequence[str]]) -> str:
    """Format lines of cells as rows of a Markdown table, each with its line end."""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _to_plain(groups: Mapping[str, Mapping[str, Spread]]) -> dict[str, Any]:
    return {
        group: {
            key: {"mean": each.mean, "std": each.deviation} for key, each in spreads.items() if key in COLUMNS
        }
        for group, spreads in groups.items()
    }
