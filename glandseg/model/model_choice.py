"""Which model to run and on what: all that opening it needs, for this process or another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from glandseg.core.callbacks import Say
from glandseg.model.backend import ModelBackend
from glandseg.model.files import AUTO, ModelFile, check_model, find_model
from glandseg.model.open_backend import open_backend


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which model to run, and on what.

    Attributes:
        path: Model file; None for the newest export, else the bundled model.
        precision: "auto", "float32", "float16" or "int8".
        device: "auto", "cpu", "cuda", "cuda:N", "trt" or "trt:N".
        threads: Threads on the CPU; 0 takes all.
        batch: Maximum batch size, in windows; None for that of the engine, else the default.
        require_gpu: Refuse the CPU.
    """

    path: Path | None = None
    precision: str = AUTO
    device: str = "auto"
    threads: int = 0
    batch: int | None = None
    require_gpu: bool = False

    def find(self) -> ModelFile:
        """Return the model file that is asked for, before the device chooses among its precisions.

        Raises:
            BadInputError: It is missing, or differs from the hash recorded beside it.
        """
        return find_model(self.path, precision=None if self.precision == AUTO else self.precision)


@contextmanager
def open_chosen(choice: ModelChoice, say: Say) -> Iterator[tuple[ModelBackend, ModelFile]]:
    """Open a model, and say which one it is and where it runs; yield it with the file that was taken.

    Raises:
        BadInputError: There is no such file or device.
        EnvironmentLacksError: The device does not work.
    """
    file = choice.find()

    def take(path: Path, reason: str) -> None:
        nonlocal file
        file = replace(check_model(path, file.origin), choice=reason)

    with open_backend(
        file.path,
        device=choice.device,
        threads=choice.threads,
        batch=choice.batch,
        require_gpu=choice.require_gpu,
        precision=choice.precision,
        say=say,
        take=take,
    ) as backend:
        say(f"model: {backend.card.name} ({file.origin}), learned on {backend.card.tissue}; {backend.name}")
        if file.choice:
            say(f"precision: {file.choice}")
        yield backend, file
