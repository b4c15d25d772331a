"""A run's model files: made, compared with PyTorch, and only then put in place with their record."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import nn

import glandseg
from glandseg.export.description import describe_model
from glandseg.export.half import emulate_half, to_half
from glandseg.export.onnx_file import stamp, trace_segmenter, write_model
from glandseg.export.parity import Parity, check_parity, draw_golden_tiles, measure_parity
from glandseg.runtime.card import ModelCard
from glandseg.runtime.errors import BadInputError, EnvironmentLacksError
from glandseg.runtime.model_file import HALF_SUFFIX, RECORD_SUFFIX, hash_file
from glandseg.runtime.session import Session
from glandseg.training.checkpoint import load_network
from glandseg.training.run import Run, build_segmenter
from glandseg.training.torch_backend import TorchBackend

Say = Callable[[str], None]
SUFFIXES = {"float32": ".onnx", "float16": f"{HALF_SUFFIX}.onnx"}


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A model file that passed the gate.

    Attributes:
        path: of the file.
        sha256: of its bytes.
        size: in bytes.
        precision: "float32" or "float16".
        parity: with PyTorch in float32.
        emulated: of float16 alone: what rounding activations costs, as on a GPU.
    """

    path: Path
    sha256: str
    size: int
    precision: str
    parity: Parity
    emulated: Parity | None


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
    """Write a run's segmenter as NAME.onnx, on demand NAME.fp16.onnx, and their record NAME.json.

    Nothing is put in place unless every file computes what PyTorch does.

    Args:
        run: a finished run.
        folder: where; none means `models/NAME`.
        name: of the model; none takes the run folder's.
        half: write the float16 file too.
        facts: fields of the card that replace what the run says of itself.
        say: is told what was made, a line each.
        tiles: (N, 320, 320, 3) uint8 RGB to compare on; none draws them.

    Raises:
        BadInputError: if the run or a fact cannot be used.
        EnvironmentLacksError: if the folder cannot be written, or ONNX Runtime is missing.
        ExportError: if a file does not compute what PyTorch does.
    """
    name = check_name(name or run.path.resolve().name)
    folder = folder or Path("models") / name
    card = describe_model(run, name, hash_file(run.segmenter_path), facts)
    segmenter = load_segmenter(run)
    tiles = draw_golden_tiles(card.um_per_px) if tiles is None else tiles
    with _stage(folder) as stage:
        model = trace_segmenter(segmenter)
        made = [_make(stage / f"{name}{SUFFIXES['float32']}", model, card, segmenter, tiles)]
        if half:
            half_card = replace(card, precision="float16")
            made.append(
                _make(stage / f"{name}{SUFFIXES['float16']}", to_half(model), half_card, segmenter, tiles)
            )
        record = stage / f"{name}{RECORD_SUFFIX}"
        record.write_text(_describe(made, card), encoding="utf-8")
        artefacts = tuple(_put_in_place(artefact, folder) for artefact in made)
        if not half:
            (folder / f"{name}{SUFFIXES['float16']}").unlink(missing_ok=True)  # an older export's
        record = record.replace(folder / record.name)
    for artefact in artefacts:
        say(_tell(artefact))
    return ExportResult(card=card, record=record, artefacts=artefacts)


def check_name(name: str) -> str:
    """Refuse a model's name that is no file name.

    Raises:
        BadInputError: if it is empty or holds a path.
    """
    if Path(name).name != name or name.startswith(".") or name.endswith(HALF_SUFFIX):
        raise BadInputError(f"--name: a plain file name without {HALF_SUFFIX} at its end. Received: {name!r}")
    return name


def load_segmenter(run: Run) -> nn.Module:
    """Build a run's segmenter and read its weights.

    Raises:
        BadInputError: if the weights do not fit the settings, or are damaged.
    """
    segmenter = build_segmenter(run.settings)
    try:
        load_network(run.segmenter_path, segmenter)
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise BadInputError(
            f"{run.segmenter_path}: not the weights of this run ({reason}). Repeat its `glandseg train`."
        ) from None
    return segmenter.eval()


def _make(
    path: Path, model: onnx.ModelProto, card: ModelCard, segmenter: nn.Module, tiles: NDArray[np.uint8]
) -> Artefact:
    stamp(model, card)
    write_model(path, model)
    reference, classes = TorchBackend(segmenter, classes=len(card.classes)), len(card.classes)
    with Session(path, device="cpu") as session:
        parity = measure_parity(reference, session, tiles)
    check_parity(parity, card.precision, path.name)
    emulated = None
    if card.precision == "float16":
        rounded = TorchBackend(emulate_half(segmenter), classes=classes)
        emulated = measure_parity(reference, rounded, tiles)
        check_parity(emulated, card.precision, f"{path.name}, activations rounded as on a GPU")
    return Artefact(
        path=path,
        sha256=hash_file(path),
        size=path.stat().st_size,
        precision=card.precision,
        parity=parity,
        emulated=emulated,
    )
