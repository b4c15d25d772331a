"""Glands of a slide as the output writers see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from glandseg.runtime.glands.store import Gland, Glands
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands

MakeFound = Callable[..., SlideGlands]
Write = Callable[..., list[str]]


class GlandList(list[Gland]):
    """Glands in memory that know their area, as those on disk do."""

    @property
    def area_px2(self) -> float:
        return sum(gland.polygon_px.area for gland in self)


def make(
    glands: Iterable[Gland], plane: Any = None, um_per_px: float = 0.5, l0_per_px: float = 2.0, **options: Any
) -> SlideGlands:
    plane = plane or SimpleNamespace(um_per_px=um_per_px, l0_per_px=l0_per_px, width_px=200, height_px=200)
    facts: dict[str, Any] = {
        "name": "a",
        "extent_px": (plane.width_px, plane.height_px),
        "slide_sha256": "s",
        "model_sha256": "m",
        "thumbnail": np.full((100, 100, 3), 220, np.uint8),
        "thumbnail_px_per_px": 0.5,
        "metadata": {},
    }
    listed = cast(Glands, GlandList(glands))
    return SlideGlands(**{"glands": listed, "mask_glands": listed, "plane": plane, **facts, **options})


@pytest.fixture
def make_found() -> MakeFound:
    """Return a function that puts glands on a plane, by default one of 200 x 200 px."""
    return make


@pytest.fixture
def write() -> Write:
    """Return a function that writes one output and returns the warnings."""

    def run(
        writer: Callable[..., AbstractContextManager[AddGland]],
        path: Path,
        found: SlideGlands,
        **options: Any,
    ) -> list[str]:
        warnings: list[str] = []
        with writer(path, found, warnings.append, **options) as add:
            for gland in found.glands:
                add(gland, found.measure(gland))
        return warnings

    return run
