"""A model, maps on disk made of arrays, and the glands traced from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.model.files import ModelFile, check_model
from glandseg.runtime.glands.store import Glands
from glandseg.runtime.glands.tracer import GlandTracer
from glandseg.runtime.maps.tile_map import TileMap

LayMap = Callable[[NDArray[Any]], TileMap]
Trace = Callable[..., Glands]


@pytest.fixture(scope="module")
def model(red_model: Path) -> ModelFile:
    """Check the model whose answer is known: red is gland."""
    return check_model(red_model, "--model")


@pytest.fixture
def lay_map(tmp_path: Path) -> Iterator[LayMap]:
    """Return a function that lays an (H, W) array of bytes or bools on disk."""
    with ExitStack() as files:

        def lay(array: NDArray[Any]) -> TileMap:
            laid = files.enter_context(TileMap(tmp_path / f"{uuid4()}.map", *array.shape))
            laid.write(0, 0, array.astype(np.uint8))
            return laid

        yield lay


@pytest.fixture
def trace(tmp_path: Path, lay_map: LayMap) -> Iterator[Trace]:
    """Return a function that traces the glands of an array; the tracer advances to each of `rows`."""
    with ExitStack() as files:

        def run(probability: NDArray[np.uint8], *, rows: Sequence[int] = (), **options: Any) -> Glands:
            settings = {"um_per_px": 1.0, "min_gland_um2": 0.0, "min_lumen_um2": 0.0, **options}
            unstained = settings.pop("unstained", np.zeros(probability.shape, bool))
            scratch = tmp_path / uuid4().hex
            scratch.mkdir()
            maps = lay_map(probability), lay_map(unstained)
            tracer = files.enter_context(GlandTracer(*maps, scratch, **settings))
            for row in rows:
                tracer.advance(row)
            return tracer.finish()

        yield run
