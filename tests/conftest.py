"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.model.card import ModelCard

SHARED = Path(__file__).parents[2] / "shared" / "data"
CARD = ModelCard(
    name="red is gland", network="one slice", tissue="drawings", um_per_px=1.4, weights_sha256=""
)

Pixels = NDArray[np.uint8]
Disk = tuple[float, float, float]  # x_l0, y_l0, radius_l0
DrawDisks = Callable[[int, int, Sequence[Disk], Sequence[Disk]], Pixels]
WriteModel = Callable[..., Path]


class Outcome(NamedTuple):
    """What a run of the command line gave: exit code and the lines of both streams."""

    code: int
    out: list[str]
    err: list[str]


RunCommand = Callable[..., Outcome]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that makes the fuzz tests long."""
    parser.addoption("--fuzz-cases", type=int, default=9, help="damaged files of each kind in tests/fuzz")


@pytest.fixture
def fuzz_cases(request: pytest.FixtureRequest) -> int:
    """Return how many damaged files of each kind are tried."""
    return int(request.config.getoption("--fuzz-cases"))


@pytest.fixture(autouse=True)
def without_dot_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `--precision auto` choose on every machine as on one without dot products of 8-bit numbers."""
    monkeypatch.setattr("glandseg.model.fastest.find_dot_products", lambda: "")


@pytest.fixture
def shared_data() -> Path:
    """Give the folder of real images, slides and weights; skip where it is not."""
    if not SHARED.is_dir():
        pytest.skip("the data folder ../shared/data is not here")
    return SHARED


@pytest.fixture(scope="session")
def write_model() -> WriteModel:
    """Give a function that writes the network "red is gland" to a path, with the metadata it is given.

    With `core`, it also says "green is core".
    """
    onnx = pytest.importorskip("onnx")
    helper, uint8, int64 = onnx.helper, onnx.TensorProto.UINT8, onnx.TensorProto.INT64

    def write(path: Path, metadata: Mapping[str, str], *, core: bool = False) -> Path:
        channels = ["non_gland", "gland", *(["green"] if core else [])]
        nodes = [
            helper.make_node("Gather", ["windows", "red_index"], ["red"], axis=3),
            helper.make_node("BitwiseNot", ["red"], ["not_red"]),
            helper.make_node("Unsqueeze", ["red", "one"], ["gland"]),
            helper.make_node("Unsqueeze", ["not_red", "one"], ["non_gland"]),
            *([helper.make_node("Gather", ["windows", "green_index"], ["green_px"], axis=3)] if core else []),
            *([helper.make_node("Unsqueeze", ["green_px", "one"], ["green"])] if core else []),
            helper.make_node("Concat", channels, ["probabilities"], axis=1),
        ]
        graph = helper.make_graph(
            nodes,
            "red",
            [helper.make_tensor_value_info("windows", uint8, ["N", 320, 320, 3])],
            [helper.make_tensor_value_info("probabilities", uint8, ["N", len(channels), 320, 320])],
            [
                helper.make_tensor("red_index", int64, [], [0]),
                helper.make_tensor("green_index", int64, [], [1]),
                helper.make_tensor("one", int64, [1], [1]),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString())
        return path

    return write


@pytest.fixture(scope="session")
def red_model(tmp_path_factory: pytest.TempPathFactory, write_model: WriteModel) -> Path:
    """Give a real model file of 1.4 um/px whose probability of gland is a pixel's red."""
    return write_model(tmp_path_factory.mktemp("model") / "red.onnx", CARD.to_metadata())


@pytest.fixture(scope="session")
def draw_disks() -> DrawDisks:
    """Give a function that draws red disks with dark holes, exact to a fraction of a pixel."""

    def draw(width: int, height: int, disks: Sequence[Disk], holes: Sequence[Disk] = ()) -> Pixels:
        y, x = np.ogrid[0.5:height, 0.5:width]
        red = np.zeros((height, width))
        for sign, group in ((1, disks), (-1, holes)):
            for x_l0, y_l0, radius_l0 in group:
                red += sign * np.clip(radius_l0 + 0.5 - np.hypot(x - x_l0, y - y_l0), 0, 1)
        return np.stack([np.rint(255 * red), *np.full((2, height, width), 90)], axis=2).astype(np.uint8)

    return draw


@pytest.fixture
def run_command(capfd: pytest.CaptureFixture[str]) -> RunCommand:
    """Give a function that runs the command line in this process; libraries' own prints count too."""
    from glandseg.cli.main import main

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert isinstance(stop.value.code, int)
        return Outcome(stop.value.code, out.splitlines(), err.splitlines())

    return run
