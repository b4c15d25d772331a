"""One model file: stamped with its card, written, run, and compared with PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from glandseg.core.system import hash_file
from glandseg.export.fp16 import emulate_fp16
from glandseg.export.onnx_file import stamp, write_model
from glandseg.model.card import ModelCard
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.parity import Parity, check_parity, measure_parity
from glandseg.training.torch_backend import TorchBackend


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A model file that computes what PyTorch does.

    Attributes:
        path: of the file.
        sha256: of its bytes.
        size: in bytes.
        precision: "float32", "float16" or "int8".
        parity: of the file, run by ONNX Runtime on the CPU, with PyTorch in float32.
        emulated: of float16 alone: parity of PyTorch with activations rounded as on a GPU.
        calibration: of int8 alone: on what its ranges were measured.
    """

    path: Path
    sha256: str
    size: int
    precision: str
    parity: Parity
    emulated: Parity | None
    calibration: str | None

    def describe(self) -> dict[str, Any]:
        """Give what the record says of this file."""
        facts: dict[str, Any] = {"sha256": self.sha256, "bytes": self.size, "precision": self.precision}
        facts["parity"] = asdict(self.parity)
        facts |= {"emulated": asdict(self.emulated)} if self.emulated else {}
        return facts | ({"calibration": self.calibration} if self.calibration else {})

    def __str__(self) -> str:
        """Say what was written and how near it is."""
        worst = max(self.parity.max_dp, self.emulated.max_dp if self.emulated else 0.0)
        told = f", calibrated on {self.calibration}" if self.calibration else ""
        return f"{self.path}: {self.precision}, {self.size / 1e6:.1f} MB, within {worst:.4f} of PyTorch{told}"


def make_artifact(
    path: Path, model: onnx.ModelProto, card: ModelCard, segmenter: nn.Module, tiles: NDArray[np.uint8]
) -> Artifact:
    """Stamp a model, write it and let it pass the gate.

    Args:
        path: of the file to write.
        model: in the card's precision; is stamped.
        card: of the model.
        segmenter: that the model was made from, in float32.
        tiles: (N, 320, 320, 3) uint8 RGB.

    Raises:
        ParityError: if it does not compute what the segmenter does; the file is left to the caller.
    """
    stamp(model, card)
    write_model(path, model)
    reference = TorchBackend(segmenter)
    with CpuSession(path) as session:
        parity = measure_parity(reference, session, tiles)
    check_parity(parity, card.precision, path.name)
    emulated = None
    if card.precision == "float16":
        emulated = measure_parity(reference, TorchBackend(emulate_fp16(segmenter)), tiles)
        check_parity(emulated, card.precision, f"{path.name}, activations rounded as on a GPU")
    return Artifact(
        path=path,
        sha256=hash_file(path),
        size=path.stat().st_size,
        precision=card.precision,
        parity=parity,
        emulated=emulated,
        calibration=card.calibration,
    )
