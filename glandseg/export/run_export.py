"""A run's model files: each made and proven apart, then put in place with their record, all or none."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import nn

import glandseg
from glandseg.export.artefact import Artefact, make_artefact
from glandseg.export.description import describe_model
from glandseg.export.half import to_half
from glandseg.export.onnx_file import trace_segmenter
from glandseg.export.parity import draw_golden_tiles
from glandseg.runtime.card import ModelCard
from glandseg.runtime.errors import BadInputError, EnvironmentLacksError
from glandseg.runtime.model_file import HALF_SUFFIX, RECORD_SUFFIX, hash_file
from glandseg.training.checkpoint import load_network
from glandseg.training.run import Run, build_segmenter

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """What an export wrote.

    Attributes:
        card: of the float32 model.
        record: path of NAME.json.
        artefacts: float32 first.
    """

    card: ModelCard
    record: Path
    artefacts: tuple[Artefact, ...]


def export_run(
    run: Run,
    folder: Path | None = None,
    *,
    name: str | None = None,
    half: bool = False,
    facts: Mapping[str, Any] | None = None,
    say: Say = lambda line: None,
    tiles: NDArray[np.uint8] | None = None,
) -> ExportResult:
    """Write a run's segmenter as NAME.onnx, where asked as NAME.fp16.onnx too, and their record NAME.json.

    Nothing is put in place unless every file computes what PyTorch does.

    Args:
        run: a finished run.
        folder: where; none means `models/NAME`.
        name: of the model; none takes the run folder's.
        half: write the float16 file too.
        facts: fields of the card that replace what the run says of itself.
        say: is told of each file, a line each.
        tiles: (N, 320, 320, 3) uint8 RGB to compare on; none draws them.

    Raises:
        BadInputError: if the run, the name or a fact cannot be used.
        EnvironmentLacksError: if the folder cannot be written, or ONNX Runtime is missing.
        ExportError: if a file does not compute what PyTorch does.
    """
    name = name or run.path.resolve().name
    _check_name(name)
    segmenter = load_segmenter(run)
    card = describe_model(run, name, hash_file(run.segmenter_path), facts)
    tiles = draw_golden_tiles(card.um_per_px) if tiles is None else tiles
    with _stage(folder or Path("models") / name) as stage:
        model = trace_segmenter(segmenter)
        made = [make_artefact(stage / f"{name}.onnx", model, card, segmenter, tiles)]
        if half:
            path, half_card = stage / f"{name}{HALF_SUFFIX}.onnx", replace(card, precision="float16")
            made.append(make_artefact(path, to_half(model), half_card, segmenter, tiles))
        record = stage / f"{name}{RECORD_SUFFIX}"
        record.write_text(_write_down(made, card), encoding="utf-8")
        result = _put_in_place(made, record, card)
    for artefact in result.artefacts:
        say(str(artefact))
    return result


def load_segmenter(run: Run) -> nn.Module:
    """Build a run's segmenter, in evaluation mode, and read its weights.

    Raises:
        BadInputError: if the weights are damaged or do not fit the run's settings.
    """
    segmenter = build_segmenter(run.settings).eval()
    try:
        load_network(run.segmenter_path, segmenter)
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise BadInputError(
            f"{run.segmenter_path}: not the weights of this run ({reason}). Repeat its `glandseg train`."
        ) from None
    return segmenter


def _check_name(name: str) -> None:
    if Path(name).name != name or name.startswith(".") or name.endswith(HALF_SUFFIX):
        raise BadInputError(f"--name: a file name without folder or {HALF_SUFFIX}. Received: {name!r}")


@contextlib.contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """Give a folder inside `folder` that is gone afterwards, and `folder` too if nothing came into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as stage:
            yield Path(stage)
    except OSError as error:
        raise EnvironmentLacksError(
            f"{folder}: cannot be written ({error.strerror}). Give another --out folder, or make room."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # refuses unless empty


def _write_down(artefacts: Sequence[Artefact], card: ModelCard) -> str:
    facts = {key: value for key, value in asdict(card).items() if key != "precision"}
    files = {artefact.path.name: artefact.describe() for artefact in artefacts}
    return json.dumps({"glandseg": glandseg.__version__, "files": files, "card": facts}, indent=1)


def _put_in_place(made: Sequence[Artefact], staged_record: Path, card: ModelCard) -> ExportResult:
    """Move the files up into the folder, the record last: it must never vouch for an older file."""
    folder = staged_record.parents[1]
    artefacts = [
        replace(artefact, path=artefact.path.replace(folder / artefact.path.name)) for artefact in made
    ]
    if len(made) == 1:
        (folder / f"{staged_record.stem}{HALF_SUFFIX}.onnx").unlink(missing_ok=True)  # an older export's
    record = staged_record.replace(folder / staged_record.name)
    return ExportResult(card=card, record=record, artefacts=tuple(artefacts))
