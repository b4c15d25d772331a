"""The export of a run: model files, each compared with PyTorch, and their record, all or none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

import glandseg
from glandseg.core.atomic import stage_outputs
from glandseg.core.callbacks import Say
from glandseg.core.errors import BadInputError
from glandseg.core.system import hash_file
from glandseg.doctor.tiles import gather_tiles
from glandseg.export.artifact import Artifact, make_artifact
from glandseg.export.engine_file import build_engine
from glandseg.export.export_settings import ExportSettings
from glandseg.export.fp16 import to_fp16
from glandseg.export.int8 import LAYOUTS, to_int8
from glandseg.export.int8_calibration import Calibration, draw_calibration, read_calibration
from glandseg.export.model_card import describe_model
from glandseg.export.onnx_file import trace_segmenter
from glandseg.model.card import ModelCard
from glandseg.model.files import ENGINE_SUFFIX, FP16_SUFFIX, RECORD_SUFFIX, SUFFIXES
from glandseg.training.factory import load_segmenter
from glandseg.training.run import Run
from glandseg.training.torch_backend import TorchBackend


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """What an export wrote.

    Attributes:
        card: Card of the float32 model.
        record: Path of NAME.json.
        artifacts: Model files, float32 first.
    """

    card: ModelCard
    record: Path
    artifacts: tuple[Artifact, ...]


def export_run(
    run: Run,
    folder: Path | None = None,
    settings: ExportSettings | None = None,
    *,
    name: str | None = None,
    facts: Mapping[str, Any] | None = None,
    say: Say = lambda line: None,
    golden: NDArray[np.uint8] | None = None,
) -> ExportResult:
    """Write the segmenter of a run as NAME.onnx, the other files of the settings, and their record NAME.json.

    No file is put in place unless all of them compute the same as PyTorch. An engine is built last, from the
    file in place; where that is not possible, a line reports it.

    Args:
        run: Finished run.
        folder: Folder of the files; None for `models/NAME`.
        settings: Files to write, and the data to calibrate and compare on.
        name: Name of the model; None for that of the run folder.
        facts: Fields of the card that replace those of the run.
        say: Called with one line per file.
        golden: (N, 320, 320, 3) uint8 RGB to compare on; None draws them.

    Raises:
        BadInputError: The run, the name, a fact or a tile cannot be used.
        EnvironmentLacksError: The folder cannot be written, or ONNX Runtime is missing.
        ParityError: A file does not compute the same as PyTorch.
        ExportError: A file cannot be made.
    """
    settings, name = settings or ExportSettings(), name or run.path.resolve().name
    _check_name(name)
    segmenter, folder = load_segmenter(run), folder or Path("models") / name
    card = describe_model(run, name, hash_file(run.segmenter_path), facts)
    tiles = gather_tiles(card.um_per_px, settings.tiles, settings.mpp, golden)
    calibration = calibrate(card.um_per_px, settings, run) if settings.int8 else None
    suffixes = _list_suffixes(settings)
    names = [*(f"{name}{suffix}.onnx" for suffix in suffixes), f"{name}{RECORD_SUFFIX}"]
    with stage_outputs(folder, names) as stage:
        made = [
            make_artifact(stage / f"{name}{suffix}.onnx", model, its_card, segmenter, tiles)
            for suffix, model, its_card in convert(segmenter, card, settings.fp16, calibration)
        ]
        (stage / names[-1]).write_text(_build_record(made, card, len(tiles)), encoding="utf-8")
    _remove_older(folder, name, suffixes)
    artifacts = tuple(replace(artifact, path=folder / artifact.path.name) for artifact in made)
    for artifact in artifacts:
        say(str(artifact))
    if settings.fp16 and settings.engine:
        build_engine(artifacts[0].path, settings.targets, TorchBackend(segmenter), tiles, say)
    return ExportResult(card=card, record=folder / names[-1], artifacts=artifacts)


def convert(
    segmenter: nn.Module, card: ModelCard, fp16: bool, calibration: Calibration | None
) -> Iterator[tuple[str, onnx.ModelProto, ModelCard]]:
    """Yield suffix, model and card of each file, float32 first.

    Args:
        segmenter: Segmenter in float32.
        card: Card of the float32 model.
        fp16: Whether to yield the float16 file.
        calibration: Calibration of the INT8 files; None leaves them out.
    """
    model = trace_segmenter(segmenter)
    yield "", model, card
    if fp16:
        yield FP16_SUFFIX, to_fp16(model), replace(card, precision="float16")
    if calibration:
        int8_card = replace(card, precision="int8", calibration=calibration.source)
        for layout in LAYOUTS:
            yield layout.suffix, to_int8(model, calibration.tiles, layout), int8_card


def calibrate(um_per_px: float, settings: ExportSettings, run: Run) -> Calibration:
    """Draw or read the tiles to measure INT8 ranges on."""
    if settings.calibrate is None:
        return draw_calibration(um_per_px)
    return read_calibration(settings.calibrate, run, um_per_px, settings.mpp)


def _list_suffixes(settings: ExportSettings) -> list[str]:
    int8 = [layout.suffix for layout in LAYOUTS] if settings.int8 else []
    return ["", *([FP16_SUFFIX] if settings.fp16 else []), *int8]


def _remove_older(folder: Path, name: str, made: Sequence[str]) -> None:
    """Remove files of an older export of that name that this one did not replace: their weights differ."""
    for suffix in {"", *SUFFIXES}:
        plan = folder / f"{name}{suffix}{ENGINE_SUFFIX}"
        for path in (plan, plan.with_name(plan.name + RECORD_SUFFIX)):
            path.unlink(missing_ok=True)
        if suffix not in made:
            (folder / f"{name}{suffix}.onnx").unlink(missing_ok=True)


def _check_name(name: str) -> None:
    if Path(name).name != name or name.startswith(".") or name.endswith(SUFFIXES):
        raise BadInputError(
            f"--name: must be a file name without folder, {' or '.join(SUFFIXES)}. Received: {name!r}"
        )


def _build_record(artifacts: Sequence[Artifact], card: ModelCard, tiles: int) -> str:
    facts = {key: value for key, value in asdict(card).items() if key not in ("precision", "calibration")}
    files = {artifact.path.name: artifact.describe() for artifact in artifacts}
    return json.dumps(
        {"glandseg": glandseg.__version__, "tiles": tiles, "files": files, "card": facts}, indent=1
    )
