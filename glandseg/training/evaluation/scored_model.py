"""Models to evaluate: an exported model file, or the segmenter of a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.core.system import hash_file
from glandseg.model.backend import Backend
from glandseg.model.device import parse_device
from glandseg.model.files import find_model
from glandseg.model.separation import Separation, separate_by_cores
from glandseg.training.paths import is_folder


@dataclass(frozen=True, kw_only=True)
class ScoredModel:
    """A model ready to be evaluated.

    Attributes:
        name: Name of the model or of the run folder.
        path: File with its weights.
        sha256: SHA-256 of that file.
        um_per_px: Microns per pixel of its input.
        scales: Scales whose probabilities are averaged, unless the user gives others.
        flips: Whether each window is averaged with its mirror image, even if the user does not ask for it.
        backend: Backend that runs the network.
        separation: Rule by which touching glands are told apart; None leaves them together.
        data: Kind of its training data set; None where unknown.
        seen: Names of its training and validation samples; empty where unknown.
    """

    name: str
    path: Path
    sha256: str
    um_per_px: float
    scales: tuple[float, ...]
    flips: bool = False
    backend: Backend
    separation: Separation | None = None
    data: str | None = None
    seen: frozenset[str] = frozenset()


@contextlib.contextmanager
def open_model(given: Path | None, *, device: str = "auto", threads: int = 0) -> Iterator[ScoredModel]:
    """Open a model until the block ends.

    Args:
        given: Model file or run folder; None means the default of `find_model`.
        device: "cpu", "cuda", "trt", "cuda:1", or "auto" for the best that works; not "trt" for a run.
        threads: CPU threads; 0 takes all, or PyTorch's own setting for a run.

    Raises:
        BadInputError: If it is neither, or damaged.
        EnvironmentLacksError: If the device is missing.
    """
    if given is not None and is_folder(given):
        yield _open_run(given, device, threads)
        return
    from glandseg.model.open_backend import open_backend

    file = find_model(given)
    with open_backend(file.path, device=device, threads=threads) as backend:
        card = backend.card
        yield ScoredModel(
            name=card.name,
            path=file.path,
            sha256=file.sha256,
            um_per_px=card.um_per_px,
            scales=card.scales,
            backend=backend,
            separation=card.separation,
        )


def _open_run(folder: Path, device: str, threads: int) -> ScoredModel:
    import torch

    from glandseg.training.factory import load_segmenter
    from glandseg.training.run import open_run
    from glandseg.training.torch_backend import TorchBackend

    run = open_run(folder)
    if threads:
        torch.set_num_threads(threads)
    return ScoredModel(
        name=folder.resolve().name,
        path=run.segmenter_path,
        sha256=hash_file(run.segmenter_path),
        um_per_px=run.um_per_px,
        scales=run.settings.segmenter.scales,
        flips=run.settings.segmenter.flips,
        backend=TorchBackend(load_segmenter(run).to(choose_device(device))),
        separation=separate_by_cores(run.settings.segmenter.core_um),
        data=run.record.get("data"),
        seen=frozenset(name for name, part in run.read_parts().items() if part in ("train", "val")),
    )


def choose_device(device: str = "auto") -> str:
    """Return PyTorch's name of a device, as in `open_model`.

    Raises:
        BadInputError: If it cannot run a run's network.
        EnvironmentLacksError: If it is missing.
    """
    import torch

    choice = parse_device(device)
    if choice.kind == "trt":
        raise BadInputError(f"--device: TensorRT runs exported models, not runs. Received: {device}")
    works = choice.ordinal < torch.cuda.device_count()
    if choice.kind == "cuda" and not works:
        raise EnvironmentLacksError(f"{device}: PyTorch finds no such GPU. Leave --device out for the CPU.")
    return f"cuda:{choice.ordinal}" if works and choice.kind != "cpu" else "cpu"
