"""Two processes learn as one: each computes its half of every batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from glandseg.training.loop.processes import ask_first, is_first

PROGRAM = """
import sys
from pathlib import Path
import torch
from torch import nn
from glandseg.training.loop.fit import fit
from glandseg.training.loop.processes import ask_first, is_first
from glandseg.training.loop.sampling import Batch
from glandseg.training.loop.fit_settings import FitSettings

def draw(step, places):
    images = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(step))
    labels = (images[:, 0, 1:-1, 1:-1] > 0.5).long()
    return Batch(images=images[places], labels=labels[places], step=step)

def validate(network):
    judged.append(is_first())
    return {"score": float(len(judged))}

torch.set_num_threads(1)
torch.manual_seed(0)
judged, network = [], nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
reported = {"steps": 5, "batch": 4, "lr": 0.05, "warmup": 0, "optimizer": "sgd", "validate_every": 2}
settings = FitSettings(precision="float32", **reported)
loss = lambda network, batch: nn.functional.cross_entropy(network(batch.images), batch.labels)
fit(network, draw, loss, validate, settings=settings, folder=Path(sys.argv[1]), name="net")
assert judged == ([True] * 3 if is_first() else []), judged
assert ask_first(lambda: "first" if is_first() else "other") == "first"
"""


def find_port() -> int:
    with socket.socket() as open_socket:
        open_socket.bind(("127.0.0.1", 0))
        port: int = open_socket.getsockname()[1]
        return port


def start(folder: Path, rank: int, count: int, port: int) -> subprocess.Popen[str]:
    """Start a process as torchrun does."""
    reported: dict[str, object] = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "GROUP_RANK": 0,
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
    }
    reported |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    environment = os.environ | {name: str(value) for name, value in reported.items()}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env=environment if count > 1 else os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="PyTorch's Windows builds lack what torchrun needs")
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    folders, port = [tmp_path / "one", tmp_path / "two"], find_port()
    for folder in folders:
        folder.mkdir()
    processes = [start(folders[0], 0, 1, port), *(start(folders[1], rank, 2, port) for rank in range(2))]
    errors = [process.communicate(timeout=100)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    one, two = (load_file(folder / "net.safetensors") for folder in folders)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor)
    assert len((folders[1] / "net.csv").read_text(encoding="utf-8").splitlines()) == 4


def test_a_process_alone_is_the_first() -> None:
    assert is_first() and ask_first(lambda: 7) == 7
