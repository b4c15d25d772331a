"""The settings of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glandseg.core.errors import BadInputError


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Files that an export writes, and the data that they are calibrated and compared on.

    Attributes:
        fp16: Whether to write a float16 file, and its TensorRT engine where TensorRT is installed.
        int8: Whether to write INT8 files, for the CPU and for TensorRT.
        calibrate: Training data, folder of slides, or slide to measure INT8 ranges on; None draws tissue.
        tiles: Slide, or folder of slides or images, to compare on in addition to the synthetic tiles.
        mpp: um per level-0 px of both, where the files have none or a wrong value.
        engine: Whether to build an engine where possible.
        targets: GPUs of the engine, such as "sm86"; empty for the default of TensorRT.
    """

    fp16: bool = False
    int8: bool = False
    calibrate: Path | None = None
    tiles: Path | None = None
    mpp: float | None = None
    engine: bool = True
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise where settings contradict each other."""
        if self.calibrate and not self.int8:
            raise BadInputError("--calibrate: only INT8 files are calibrated. Add --int8.")
        if self.targets and not (self.fp16 and self.engine):
            raise BadInputError("--target: only engines have targets, and --fp16 builds them. Add --fp16.")
        if self.mpp is not None and not self.mpp > 0:
            raise BadInputError(f"--mpp: must be above 0 um per px. Received: {self.mpp}")
