"""What can be evaluated: an exported model file, or the segmenter of a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glandseg.runtime.backend import Backend
from glandseg.runtime.errors import BadInputError, EnvironmentLacksError
from glandseg.runtime.model_file import find_model, hash_file


@dataclass(frozen=True, kw_only=True)
class ScoredModel:
    """A model ready to be evaluated.

    Attributes:
        name: of the model or of the run folder.
        path: of the file with its weights.
        sha256: of that file.
        um_per_px: at which it works.
        scales: whose probabilities it averages.
        backend: the network.
        data: kind of the data set that it learned from, where a run tells.
        seen: names of the images that it learned from or was chosen on, where a run tells.
    """

    name: str
    path: Path
    sha256: str
    um_per_px: float
    scales: tuple[float, ...]
    backend: Backend
    data: str | None = None
    seen: frozenset[str] = frozenset()


@contextlib.contextmanager
def open_model(given: Path | None, *, device: str = "auto", threads: int = 0) -> Iterator[ScoredModel]:
    """Open a model until the block ends.

    Args:
        given: a model file or a run folder; none takes what `find_model` finds.
        device: "cpu", "cuda", or "auto" for CUDA where it works and the CPU elsewhere.
        threads: of the CPU; 0 takes all, for a run those that PyTorch was told.

    Raises:
        BadInputError: if it is neither, or damaged.
        EnvironmentLacksError: if the device is missing.
    """
    if given is not None and given.is_dir():
        yield _open_run(given, device, threads)
        return
    from glandseg.runtime.session import Session

    file = find_model(given)
    with Session(file.path, device=device, threads=threads) as session:
        card = session.card
        yield ScoredModel(
            name=card.name,
            path=file.path,
            sha256=file.sha256,
            um_per_px=card.um_per_px,
            scales=card.scales,
            backend=session,
        )


def _open_run(folder: Path, device: str, threads: int) -> ScoredModel:
    import torch

    from glandseg.training.run import load_segmenter, open_run
    from glandseg.training.torch_backend import TorchBackend

    run = open_run(folder)
    if threads:
        torch.set_num_threads(threads)
    return ScoredModel(
        name=folder.resolve().name,
        path=run.segmenter_path,
        sha256=hash_file(run.segmenter_path),
        um_per_px=run.record["um_per_px"],
        scales=(1.0,),
        backend=TorchBackend(load_segmenter(run).to(_choose_device(device))),
        data=run.record.get("data"),
        seen=frozenset(name for name, part in run.read_parts().items() if part in ("train", "val")),
    )


def _choose_device(device: str) -> str:
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise BadInputError(f"--device: one of auto, cpu, cuda. Received: {device}")
    works = torch.cuda.is_available()
    if device == "cuda" and not works:
        raise EnvironmentLacksError("cuda: PyTorch finds no GPU. Leave --device out to run on the CPU.")
    return "cuda" if works and device != "cpu" else "cpu"
