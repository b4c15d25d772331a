"""Weights files are loaded by name; a wrong one is an error of one line, and nothing in it is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from glandseg.core.errors import BadInputError
from glandseg.training.networks.weights import load_weights, read_weights


class Touch:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def build_network(seed: int = 0, width: int = 4) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width))


def expect_one_line(path: Path, *parts: str, network: nn.Module | None = None) -> None:
    with pytest.raises(BadInputError) as caught:
        load_weights(network or build_network(), path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    for part in parts:
        assert part in text, text


def expect_equal(network: nn.Module, other: nn.Module) -> None:
    for (name, a), b in zip(network.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("name", ["w.safetensors", "W.SAFETENSORS"])
def test_safetensors(tmp_path: Path, name: str) -> None:
    source, network = build_network(1), build_network(2)
    save_file(source.state_dict(), tmp_path / name)
    report = load_weights(network, tmp_path / name)
    expect_equal(network, source)
    assert not report.missing and not report.unused and len(report.loaded) == 7


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_state_dict(tmp_path: Path, wrapped: bool, prefix: str) -> None:
    source, network = build_network(1), build_network(2)
    state = {prefix + name: tensor for name, tensor in source.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3} if wrapped else state, tmp_path / "w.pth")
    assert not load_weights(network, tmp_path / "w.pth").missing
    expect_equal(network, source)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    source, network = build_network(1), build_network(2)
    save_file(
        {name: tensor.half() for name, tensor in source.state_dict().items()}, tmp_path / "w.safetensors"
    )
    load_weights(network, tmp_path / "w.safetensors")
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}
    torch.testing.assert_close(network[0].weight, source[0].weight, rtol=1e-3, atol=1e-4)


def test_what_was_not_found_is_said(tmp_path: Path) -> None:
    state = {"0.weight": build_network(1).state_dict()["0.weight"], "fc.weight": torch.zeros(2)}
    save_file(state, tmp_path / "w.safetensors")
    network, untouched = build_network(2), build_network(2)
    report = load_weights(network, tmp_path / "w.safetensors")
    assert (report.loaded, report.unused) == (("0.weight",), ("fc.weight",))
    assert report.missing == ("0.bias", "1.bias", "1.running_mean", "1.running_var", "1.weight")
    assert str(report).startswith("1 tensors loaded, 1 unused, not found: 0.bias, ")
    assert torch.equal(network.get_parameter("0.bias"), untouched.get_parameter("0.bias"))


def test_a_wrong_shape_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    save_file(build_network(1, width=5).state_dict(), tmp_path / "w.safetensors")
    network = build_network(2)
    expect_one_line(
        tmp_path / "w.safetensors", "0.bias has shape (5,), the network's is (4,)", network=network
    )
    expect_equal(network, build_network(2))


def test_another_networks_file(tmp_path: Path) -> None:
    save_file({"encoder.weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    expect_one_line(tmp_path / "w.safetensors", "none of the network's tensors", "0.weight", "encoder.weight")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", [b"", b"a text, no weights\n" * 20, b"PK\x03\x04 and then nothing"])
def test_a_file_of_something_else(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    expect_one_line(path, "not a weights file", ".safetensors")


def test_no_file(tmp_path: Path) -> None:
    expect_one_line(tmp_path / "w.pth", "no such weights file")
    expect_one_line(tmp_path / "w.safetensors", "no such weights file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_no_pipe_is_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(BadInputError, match="is a named pipe"):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_code_is_not_run(tmp_path: Path, legacy: bool) -> None:
    path, touched = tmp_path / "w.pth", tmp_path / "touched"
    state = {"0.weight": torch.zeros(1), "note": Touch(touched)}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    expect_one_line(path, "of tensors alone", "Save it as .safetensors")
    path.write_bytes(pickle.dumps(Touch(touched), protocol=2))
    expect_one_line(path, "of tensors alone")
    assert not touched.exists()
    pickle.loads(path.read_bytes())
    assert touched.exists()  # the trap works


def test_what_is_no_tensor_is_left_out(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2), "epoch": 3, "name": "x"}, tmp_path / "w.pth")
    assert list(read_weights(tmp_path / "w.pth")) == ["a"]


def build_scorer(outputs: int, width: int = 4) -> nn.Sequential:
    torch.manual_seed(outputs)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(width, outputs, 1))


def test_a_network_with_another_score_keeps_those_that_the_file_has(tmp_path: Path) -> None:
    source, network = build_scorer(2), build_scorer(3)
    added = network[1].weight[2].clone(), network[1].bias[2].clone()  # type: ignore[index]
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    report = load_weights(network, tmp_path / "w.safetensors", ("1",))
    own, old = network.state_dict(), source.state_dict()
    for name in ("1.weight", "1.bias"):
        assert torch.equal(own[name][:2], old[name])
    assert torch.equal(own["0.weight"], old["0.weight"])
    assert torch.equal(own["1.weight"][2], added[0]) and torch.equal(own["1.bias"][2], added[1])
    assert report.partial == ("1.bias", "1.weight")
    assert str(report).endswith("rest randomly initialised: 1.bias, 1.weight")


def test_a_network_with_fewer_scores_keeps_its_own(tmp_path: Path) -> None:
    source, network = build_scorer(3), build_scorer(2)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    load_weights(network, tmp_path / "w.safetensors", ("1",))
    assert torch.equal(network.state_dict()["1.weight"], source.state_dict()["1.weight"][:2])


def test_scores_of_other_features_are_left_as_they_were(tmp_path: Path) -> None:
    source, network = build_scorer(2), build_scorer(2, width=6)
    before = network.state_dict()["1.weight"].clone()
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    load_weights(network, tmp_path / "w.safetensors", ("1",))
    assert torch.equal(network.state_dict()["1.weight"], before)


def test_only_scores_may_differ(tmp_path: Path) -> None:
    save_file(build_scorer(2).state_dict(), tmp_path / "w.safetensors")
    expect_one_line(tmp_path / "w.safetensors", "1.bias has shape (2,)", network=build_scorer(3))
