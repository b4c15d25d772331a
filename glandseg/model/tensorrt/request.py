"""An engine that is wanted: of which model, for which GPU, by which TensorRT."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from glandseg.model.backend import BATCH
from glandseg.model.card import ModelCard
from glandseg.model.files import check_model
from glandseg.model.gpu import Machine, read_machine
from glandseg.model.onnx.onnx_file import check_one_file, read_onnx_card
from glandseg.model.tensorrt.build import BuildSettings
from glandseg.model.tensorrt.fingerprint import Fingerprint
from glandseg.model.tensorrt.package import TensorRtPackage


@dataclass(frozen=True, kw_only=True)
class Order:
    """An engine that is wanted here.

    Attributes:
        onnx: the model.
        sha256: of that file.
        card: of the model.
        package: that builds and loads the engine.
        machine: where.
        settings: how it would be built.
    """

    onnx: Path
    sha256: str
    card: ModelCard
    trt_package: TensorRtPackage
    machine: Machine
    settings: BuildSettings

    def describe(self) -> Fingerprint:
        """Give what the engine would be, but for its bytes and layers."""
        return Fingerprint(
            onnx_sha256=self.sha256,
            weights_sha256=self.card.weights_sha256,
            package=self.trt_package.package,
            version=self.trt_package.version,
            profile=self.settings.profile,
            precision=self.settings.precision,
            targets=self.settings.targets,
            card=asdict(self.card),
            **asdict(self.machine),
        )


def make_order(
    onnx: Path, batch: int | None, targets: tuple[str, ...], trt_package: TensorRtPackage, cache: Path
) -> Order:
    """Put together what is wanted.

    Args:
        onnx: the model.
        batch: windows that go in at once; none takes `BATCH`.
        targets: GPUs to build for, "sm89"; none takes the package's default.
        trt_package: that builds and loads the engine.
        cache: folder for kernels' timings.

    Raises:
        BadInputError: if the file is no model of glandseg, or differs from its record.
        EnvironmentLacksError: if the package does not run on this machine's GPU.
    """
    check_one_file(onnx)
    sha256, card, machine = check_model(onnx, "--model").sha256, read_onnx_card(onnx), read_machine()
    trt_package.check_gpu(machine.gpu, machine.target)
    timings = cache / f"timings-{trt_package.version}-{machine.gpu.replace(' ', '-')}"
    settings = BuildSettings(
        batch=batch or BATCH,
        precision=card.precision,
        targets=targets or trt_package.choose_targets(machine.target),
        timings=timings,
    )
    return Order(
        onnx=onnx, sha256=sha256, card=card, trt_package=trt_package, machine=machine, settings=settings
    )
