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
    """A model file that computes the same as PyTorch.

    Attributes:
        path: Path of the file.
        sha256: Hash of its bytes.
        size: Size in bytes.
        precision: "float32", "float16" or "int8".
        parity: Parity of the file, run by ONNX Runtime on the CPU, with PyTorch in float32.
        emulated: Parity of PyTorch with activations rounded as on a GPU; float16 only.
        calibration: Data on which the ranges were measured; int8 only.
    """

    path: Path
    sha256: str
    size: int
    precision: str
    parity: Parity
    emulated: Parity | None
    calibration: str | None

    def describe(self) -> dict[str, Any]:
        """Return the entry of this file in the record."""
        facts: dict[str, Any] = {"sha256": self.sha256, "bytes": self.size, "precision": self.precision}
        facts["parity"] = asdict(self.parity)
        facts |= {"emulated": asdict(self.emulated)} if self.emulated else {}
        return facts | ({"calibration": self.calibration} if self.calibration else {})

    def __str__(self) -> str:
        """Return one line with precision, size and maximum difference from PyTorch."""
        worst = max(self.parity.max_dp, self.emulated.max_dp if self.emulated else 0.0)
        data = f", calibrated on {self.calibration}" if self.calibration else ""
        return f"{self.path}: {self.precision}, {self.size / 1e6:.1f} MB, within {worst:.4f} of PyTorch{data}"


def make_artifact(
    path: Path, model: onnx.ModelProto, card: ModelCard, segmenter: nn.Module, tiles: NDArray[np.uint8]
) -> Artifact:
    """Stamp a model, write it and check its parity with PyTorch.

    Args:
        path: File to write.
        model: Model in the precision of the card; stamped in place.
        card: Card of the model.
        segmenter: Segmenter that the model was made from, in float32.
        tiles: (N, 320, 320, 3) uint8 RGB to compare on.

    Raises:
        ParityError: It does not compute the same as the segmenter; the caller removes the file.
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
