from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.export import engine_file
from glandseg.export.engine_file import build_engine
from glandseg.model.parity import ParityError

TILES = np.random.default_rng(0).integers(0, 256, (3, 320, 320, 3), np.uint8)


class Channel(contextlib.nullcontext["Channel"]):
    """Takes a color for the probability of gland."""

    def __init__(self, index: int = 0) -> None:
        super().__init__(self)
        self.index = index

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        gland = windows[..., self.index]
        return np.stack([255 - gland, gland], 1)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine with its fingerprint file, as if it had just been built for what was asked."""
    path = tmp_path / "m.fp16.engine"

    def find(model: Path, *, precision: str, targets: tuple[str, ...], say: Any) -> Any:
        assert (model.name, precision, targets) == ("m.onnx", "float16", ("sm86",))
        for file in (path, path.with_name("m.fp16.engine.json")):
            file.write_bytes(b"built")
        return SimpleNamespace(path=path, facts=SimpleNamespace(precision="float16"))

    monkeypatch.setattr(engine_file, "find_engine", find)
    return path


def build(folder: Path) -> tuple[Any, list[str]]:
    said: list[str] = []
    return build_engine(folder / "m.onnx", ("sm86",), Channel(), TILES, said.append), said


def test_engine_that_computes_the_same_is_kept(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_file, "open_engine", lambda path: Channel())
    engine, said = build(plan.parent)
    assert engine.path == plan and plan.is_file() and not said


def test_engine_that_computes_something_else_is_removed(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_file, "open_engine", lambda path: Channel(1))
    with pytest.raises(ParityError, match=r"m\.fp16\.engine: in float16 .* max_dp"):
        build(plan.parent)
    assert not list(plan.parent.iterdir())


def test_engine_that_cannot_run_here_is_kept_and_that_is_said(
    plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lack(path: Path) -> None:
        raise EnvironmentLacksError("no GPU.")

    monkeypatch.setattr(engine_file, "open_engine", lack)
    _, said = build(plan.parent)
    assert said == ["m.fp16.engine: not compared with PyTorch here: no GPU."] and plan.is_file()


def test_without_tensorrt_one_line_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lack(*arguments: object, **options: object) -> None:
        raise EnvironmentLacksError("TensorRT cannot be imported.")

    monkeypatch.setattr(engine_file, "find_engine", lack)
    engine, said = build(tmp_path)
    assert engine is None and said == ["no engine was built: TensorRT cannot be imported."]


def test_unknown_target_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise BadInputError("--targets: knows sm86.")

    monkeypatch.setattr(engine_file, "find_engine", refuse)
    with pytest.raises(BadInputError, match="knows sm86"):
        build(tmp_path)
