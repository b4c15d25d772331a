"""Find the installed TensorRT and what it can do: TensorRT 10 and 11, or TensorRT for RTX."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from glandseg.core.errors import BadInputError, EnvironmentLacksError, shorten

FULL, RTX = "tensorrt", "tensorrt_rtx"
_NAMES = {FULL: "TensorRT", RTX: "TensorRT for RTX"}
TURING = "sm75"  # TensorRT for RTX builds for it only on request, and then with a library of kernels
_OLDEST = 10
_NEWEST_KNOWN = 120  # GPUs from here on run what was built for those before
_NOT_RTX = {"sm80"}  # TensorRT for RTX builds for it, as for all from Ampere on, but does not run on it
_KNOWN_BAD = ("10.2.0",)
_INSTALL = 'pip install "glandseg[rtx]" for an RTX card, or "glandseg[trt]" for any NVIDIA GPU'


@dataclass(frozen=True, kw_only=True)
class TensorRtPackage:
    """An installed TensorRT.

    Attributes:
        module: Python module.
        package: Import name, `FULL` or `RTX`.
        version: Version of the library.
    """

    module: Any
    package: str
    version: str

    def __str__(self) -> str:
        """Return its name and version."""
        return f"{_NAMES[self.package]} {self.version}"

    @property
    def is_rtx(self) -> bool:
        """Return whether plans are portable between GPUs and machines, and are finished on the user's GPU."""
        return self.package == RTX

    @property
    def targets(self) -> tuple[str, ...]:
        """List the GPUs that it builds for without having them, "sm75"; none: the local GPU alone."""
        known = getattr(getattr(self.module, "ComputeCapability", None), "__members__", {})
        return tuple(name.lower() for name in known if name.startswith("SM"))

    @property
    def network_flags(self) -> int:
        """Return the flags that make a network keep the number types of its ONNX file."""
        known = getattr(self.module, "NetworkDefinitionCreationFlag", None)
        typed = getattr(known, "STRONGLY_TYPED", None)
        return 0 if typed is None else 1 << int(typed)

    def choose_targets(self, local: str | None) -> tuple[str, ...]:
        """Return the default targets: the local GPU where TensorRT for RTX knows it.

        Without any it builds for every GPU from Ampere on, which costs speed, and leaves out Turing.

        Args:
            local: GPU of this machine, "sm89"; None without one.
        """
        return (local,) if self.is_rtx and local in self.targets else ()

    def serves(self, target: str) -> bool:
        """Return whether it runs on a GPU, "sm89": one that it builds for, or one newer than it knows."""
        number = int(target[2:])
        if self.is_rtx:
            return target in self._served or number >= _NEWEST_KNOWN
        return number >= int(TURING[2:])

    @property
    def _served(self) -> tuple[str, ...]:
        return tuple(target for target in self.targets if target not in _NOT_RTX)

    @property
    def rule(self) -> str:
        """Return the GPUs that it runs on, in words."""
        if self.is_rtx:
            return f"on {', '.join(self._served)} and newer RTX cards"
        return "on compute capability 7.5 and newer"

    def check_gpu(self, name: str, local: str | None) -> None:
        """Refuse a GPU that it does not run on.

        Args:
            name: Name of the GPU.
            local: GPU as a target, "sm89"; None without one.

        Raises:
            EnvironmentLacksError: if it is too old or, for TensorRT for RTX, no RTX card.
        """
        if local and not self.serves(local):
            cure = 'pip install "glandseg[trt]", or give' if self.is_rtx else "Give"
            raise EnvironmentLacksError(
                f"{self}: does not run on {name} ({local}), but {self.rule}. {cure} --device cuda."
            )

    def check_targets(self, targets: tuple[str, ...]) -> None:
        """Refuse GPUs that it cannot build for.

        Raises:
            BadInputError: if it builds for the local GPU only, or does not know one of them.
        """
        if targets and not self.targets:
            raise BadInputError(
                f"--target {','.join(targets)}: {self} builds for this machine's GPU alone. Leave --target "
                'out, or pip install "glandseg[rtx]".'
            )
        if unknown := [target for target in targets if target not in self.targets]:
            raise BadInputError(
                f"--target: {self} knows {', '.join(self.targets)}. Received: {', '.join(unknown)}."
            )


def find_package(package: str | None = None) -> TensorRtPackage:
    """Find the installed TensorRT; of two, the one that suits every GPU.

    Args:
        package: `FULL` or `RTX`; None means either.

    Raises:
        EnvironmentLacksError: if none is installed, or it cannot be used.
    """
    reasons = []
    for name in (FULL, RTX) if package is None else (package,):
        try:
            module = importlib.import_module(name)
        except Exception as error:  # a missing library raises OSError, FileNotFoundError or ImportError
            reasons.append(f"{name}: {shorten(error, 80)}")
            continue
        return _check(TensorRtPackage(module=module, package=name, version=str(module.__version__)))
    raise EnvironmentLacksError(f"TensorRT cannot be imported ({'; '.join(reasons)}). {_INSTALL}.")


def _check(trt_package: TensorRtPackage) -> TensorRtPackage:
    if trt_package.is_rtx:
        return trt_package
    if (
        trt_package.version.startswith(tuple(f"{bad}." for bad in _KNOWN_BAD))
        or trt_package.version in _KNOWN_BAD
    ):
        raise EnvironmentLacksError(
            f"{trt_package}: known to compute wrong results. pip install -U tensorrt."
        )
    major = int(trt_package.version.partition(".")[0])
    if major < _OLDEST or (major == _OLDEST and not trt_package.network_flags):
        raise EnvironmentLacksError(
            f"{trt_package}: cannot keep float16 as the model has it; {_OLDEST}.16 or later can. "
            "pip install -U tensorrt."
        )
    return trt_package
