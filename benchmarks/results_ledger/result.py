"""A result of the ledger: the scores of one model on one part of a data set, with all that they depend on.

A result is a JSON file in `results/`, written by `benchmarks/record_result.py` and never by hand. It names no
path, host or user, so it says the same on every machine.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glandseg.core.atomic import write_whole
from glandseg.core.errors import BadInputError

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "results"
SCORES = (
    "images",
    "miou",
    "gland_iou",
    "f1",
    "dice",
    "mean_image_miou",
)  # of every result, others where known
NOT_PERCENT = ("images", "object_hausdorff_px")
ENTRIES = {
    "model": {"name", "file", "sha256", "um_per_px", "backend"},
    "inference": {"scales", "adaptive", "flips", "threshold", "min_gland_um2", "min_lumen_um2"},
    "training": {"command", "glandseg", "seeds", "data", "images", "split_sha256", "settings"},
    "data": {"kind", "part", "images", "sha256"},
    "machine": {"processor", "flags", "cpus", "ram_gib", "system", "gpu"},
    "versions": {"glandseg", "torch", "numpy"},
    "seconds": {"training", "evaluation"},
}
_PATH = re.compile(r"(?:^|[\s'\"=])(?:/\w|~/|[A-Za-z]:[\\/]|\\\\)")
_ROW = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Result:
    """Scores of one model on one part of a data set.

    Attributes:
        row: Key of the row in `results/tables.yaml`.
        seed: Random seed of the segmenter's training; None for a model file, whose seed is unknown.
        date: Day of the evaluation, as YYYY-MM-DD.
        command: Command that wrote the result, with names in place of paths.
        commit: Hash of the commit that was evaluated with.
        model: Name, file, sha256, um/px and backend of the model.
        inference: Settings of the inference.
        training: Command, settings, seeds, data and hash of the split of the training; None for a model file.
        data: Kind, part, number and sha256 of the evaluated images and masks.
        machine: Processor, its flags that matter, memory, system and GPU (None without one).
        versions: Versions of glandseg and the libraries.
        seconds: Seconds of the training (None where the run does not know them) and of the evaluation.
        scores: Scores of all images pooled, by name: shares in percent, distances in px.
        groups: Scores of the images of each grade or class, by its name.

    Raises:
        BadInputError: If an entry is missing, unknown, out of range or holds a path of this machine.
    """

    row: str
    seed: int | None
    date: str
    command: str
    commit: str
    model: Mapping[str, Any]
    inference: Mapping[str, Any]
    training: Mapping[str, Any] | None
    data: Mapping[str, Any]
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: Mapping[str, float | None]
    scores: Mapping[str, float]
    groups: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        """Raise if an entry is missing or out of range."""
        if not _ROW.fullmatch(str(self.row)):
            raise self._error(f"row is {self.row!r}, not lower-case words joined by -")
        for entry, names in ENTRIES.items():
            value = getattr(self, entry)
            if value is None and entry == "training":
                continue
            if not isinstance(value, Mapping) or not names <= set(value):
                raise self._error(f"{entry} needs {', '.join(sorted(names))}")
        hashes = [self.commit, self.model["sha256"], self.data["sha256"]]
        if not all(_HEX.fullmatch(str(each)) for each in hashes):
            raise self._error("commit, model.sha256 and data.sha256 are hashes")
        seed = self.training["seeds"].get("segmenter") if self.training else None
        if seed != self.seed:
            raise self._error(f"seed is {self.seed}, that of the training {seed}")
        for name, scores in {"scores": self.scores, **self.groups}.items():
            self._check_scores(name, scores)
        for text in _list_texts(asdict(self)):
            if _PATH.search(text):
                raise self._error(f"{text[:80]!r} holds a path of one machine")

    @property
    def file_name(self) -> str:
        """Name of its file: row and seed."""
        return f"{self.row}.json" if self.seed is None else f"{self.row}.seed-{self.seed}.json"

    def write(self, folder: Path) -> Path:
        """Write the JSON file into a folder, in place of an older one of this row and seed."""
        path = folder / self.file_name
        with write_whole(path) as part:
            part.write_text(json.dumps(asdict(self), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return path

    def _check_scores(self, name: str, scores: Mapping[str, float]) -> None:
        lacking = set(SCORES) - set(scores)
        if lacking:
            raise self._error(f"{name} lacks {', '.join(sorted(lacking))}")
        for key, value in scores.items():
            bound = math.inf if key in NOT_PERCENT else 100
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= bound:
                raise self._error(f"{name}: {key} is {value!r}")

    def _error(self, reason: str) -> BadInputError:
        return BadInputError(
            f"result of {self.row}: {reason}. Record it again with benchmarks/record_result.py."
        )


def _list_texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        for item in value:
            yield from _list_texts(item)
    elif isinstance(value, str):
        yield value
