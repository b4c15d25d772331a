"""A run's model files: each made and proven apart, then put in place with their record, all or none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import glandseg
from glandseg.export.artefact import Artefact, make_artefact
from glandseg.export.description import describe_model
from glandseg.export.half import to_half
from glandseg.export.onnx_file import trace_segmenter
from glandseg.export.parity import draw_golden_tiles
from glandseg.runtime.card import ModelCard
from glandseg.runtime.errors import BadInputError
from glandseg.runtime.model_file import HALF_SUFFIX, RECORD_SUFFIX, hash_file
from glandseg.runtime.staging import stage_outputs
from glandseg.training.run import Run, load_segmenter

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
    folder, half_name = folder or Path("models") / name, f"{name}{HALF_SUFFIX}.onnx"
    names = [f"{name}.onnx", *([half_name] if half else []), f"{name}{RECORD_SUFFIX}"]
    with stage_outputs(folder, names) as stage:
        model = trace_segmenter(segmenter)
        made = [make_artefact(stage / names[0], model, card, segmenter, tiles)]
        if half:
            half_card = replace(card, precision="float16")
            made.append(make_artefact(stage / half_name, to_half(model), half_card, segmenter, tiles))
        (stage / names[-1]).write_text(_write_down(made, card), encoding="utf-8")
    if not half:
        (folder / half_name).unlink(missing_ok=True)  # an older export's
    artefacts = tuple(replace(artefact, path=folder / artefact.path.name) for artefact in made)
    for artefact in artefacts:
        say(str(artefact))
    return ExportResult(card=card, record=folder / names[-1], artefacts=artefacts)


def _check_name(name: str) -> None:
    if Path(name).name != name or name.startswith(".") or name.endswith(HALF_SUFFIX):
        raise BadInputError(f"--name: a file name without folder or {HALF_SUFFIX}. Received: {name!r}")


def _write_down(artefacts: Sequence[Artefact], card: ModelCard) -> str:
    facts = {key: value for key, value in asdict(card).items() if key != "precision"}
    files = {artefact.path.name: artefact.describe() for artefact in artefacts}
    return json.dumps({"glandseg": glandseg.__version__, "files": files, "card": facts}, indent=1)
