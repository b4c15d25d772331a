"""What an export is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glandseg.core.errors import BadInputError


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Which files an export writes, and what they are made and proven with.

    Attributes:
        half: write a float16 file too, and its TensorRT engine where TensorRT is installed.
        int8: write INT8 files too, for the CPU and for TensorRT.
        calibrate: training data, folder of slides, or slide to measure INT8 ranges on; none draws tissue.
        tiles: slide, or folder of slides or images, on which files are compared beside the drawn tiles.
        mpp: um per level-0 px of both, where the files do not say or are wrong.
        engine: build an engine where that can be done.
        targets: GPUs that the engine is for, "sm86"; none takes those that TensorRT takes by itself.
    """

    half: bool = False
    int8: bool = False
    calibrate: Path | None = None
    tiles: Path | None = None
    mpp: float | None = None
    engine: bool = True
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.calibrate and not self.int8:
            raise BadInputError("--calibrate: only INT8 files are calibrated. Add --int8.")
        if self.targets and not (self.half and self.engine):
            raise BadInputError("--target: is for engines, which --fp16 builds. Add --fp16.")
        if self.mpp is not None and not self.mpp > 0:
            raise BadInputError(f"--mpp: um per px, above 0. Received: {self.mpp}")
