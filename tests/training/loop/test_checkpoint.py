"""What is read back is what was written, to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from glandseg.core.errors import BadInputError
from glandseg.training.loop.checkpoint import load_network, load_progress, save_network, save_progress


def build_network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def build_optimizer(network: nn.Module, adaptive: bool) -> torch.optim.Optimizer:
    if adaptive:
        return torch.optim.AdamW(network.parameters(), 0.01)
    return torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)


def learn(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    torch.manual_seed(0)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randn(2, 3, 8, 8)).square().mean().backward()
        optimizer.step()


def expect_equal(network: nn.Module, other: nn.Module) -> None:
    for (name, a), b in zip(network.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_network_comes_back(tmp_path: Path) -> None:
    path, network, other = tmp_path / "n.safetensors", build_network(0), build_network(1)
    learn(network, torch.optim.SGD(network.parameters(), 0.1), 2)
    save_network(path, network)
    load_network(path, other)
    expect_equal(other, network)
    assert [file.name for file in tmp_path.iterdir()] == ["n.safetensors"]


def test_a_network_must_be_complete(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    save_network(path, build_network(0))
    tensors = load_file(path)
    del tensors["1.running_mean"]
    save_file(tensors, path)
    with pytest.raises(BadInputError, match="not the weights of this run .*running_mean"):
        load_network(path, build_network(1))


@pytest.mark.parametrize("adaptive", [True, False])
def test_going_on_is_as_if_nothing_had_happened(tmp_path: Path, adaptive: bool) -> None:
    path = tmp_path / "p.safetensors"
    network, other = build_network(0), build_network(1)
    optimizer = build_optimizer(network, adaptive)
    learn(network, optimizer, 3)
    place = {"step": 3, "best": float("-inf"), "loss": 0.1}
    save_progress(path, network, optimizer, place)
    again = build_optimizer(other, adaptive)
    assert load_progress(path, other, again) == place
    for a, b in zip(network.parameters(), other.parameters(), strict=True):
        for key, value in optimizer.state[a].items():
            assert torch.equal(value, again.state[b][key]) and value.stride() == again.state[b][key].stride()
    learn(network, optimizer, 3)
    learn(other, again, 3)
    expect_equal(other, network)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "n.safetensors"
    save_network(path, build_network(0))
    before = path.read_bytes()

    write = Path.write_bytes

    def write_fp16(part: Path, data: bytes) -> int:
        write(part, data[: len(data) // 2])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", write_fp16)
    with pytest.raises(OSError, match="no space"):
        save_network(path, build_network(1))
    assert path.read_bytes() == before


def test_progress_without_a_place_is_refused(tmp_path: Path) -> None:
    path, network = tmp_path / "p.safetensors", build_network(0)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    save_progress(path, network, optimizer, {})
    other = build_network(1)
    with pytest.raises(BadInputError, match=r"p\.safetensors: of another version"):
        load_progress(path, other, optimizer)
    expect_equal(other, build_network(1))


@pytest.mark.parametrize("content", [b"", b"junk", bytes(64), b"\xff" * 100])
def test_junk_is_reported(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "n.safetensors"
    path.write_bytes(content)
    network = build_network(0)
    with pytest.raises(BadInputError, match=r"n\.safetensors: not the weights of this run"):
        load_network(path, network)
    with pytest.raises(BadInputError, match=r"n\.safetensors: damaged, or of another run.*Delete it"):
        load_progress(path, network, torch.optim.SGD(network.parameters(), lr=0.1))
