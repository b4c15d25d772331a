"""Results that no model gave, for tests of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from benchmarks.results_ledger.result import Result
from glandseg.training.settings import TrainSettings

MakeResult = Callable[..., Result]
SCORES = {"images": 60, "miou": 80.0, "gland_iou": 79.0, "f1": 89.0, "dice": 88.0, "mean_image_miou": 78.0}


@pytest.fixture
def make_result() -> MakeResult:
    """Give a function that makes a result of a row and seed, whose mIoU is given; entries can be replaced."""

    def make(row: str, seed: int | None, miou: float = 80.0, **entries: Any) -> Result:
        training = {
            "command": "glandseg train GLAS --preset edge",
            "glandseg": "0",
            "seeds": {"classifier": 0, "segmenter": seed, "split": 0},
            "data": "glas",
            "images": {"train": 70},
            "split_sha256": "0" * 64,
            "settings": asdict(TrainSettings()),
        }
        facts = {
            "row": row,
            "seed": seed,
            "date": "2026-01-01",
            "command": f"python benchmarks/record_result.py {row} RUN --data GLAS --part testA",
            "commit": "a" * 40,
            "model": {
                "name": "m",
                "file": "m.safetensors",
                "sha256": f"{seed or 0:064x}",
                "um_per_px": 0.62,
                "backend": "PyTorch",
            },
            "inference": {
                "scales": [1.0],
                "adaptive": False,
                "flips": False,
                "threshold": 0.5,
                "min_gland_um2": 100,
                "min_lumen_um2": 20,
            },
            "training": None if seed is None else training,
            "data": {"kind": "glas", "part": "testA", "images": 60, "sha256": "b" * 64},
            "machine": {
                "processor": "CPU",
                "flags": ["avx2"],
                "cpus": 2,
                "ram_gib": 8.0,
                "system": "Linux",
                "gpu": None,
            },
            "versions": {"glandseg": "0", "torch": "2", "numpy": "2"},
            "seconds": {"training": None, "evaluation": 60.0},
            "scores": SCORES | {"miou": miou},
            "groups": {},
        }
        return Result(**(facts | entries))

    return make
