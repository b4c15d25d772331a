"""Damaged models, cards, records, regions, tables and settings: refused in one line, or used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from glandseg.model.card import METADATA_KEY
from tests.conftest import CARD, WriteModel
from tests.fuzz.conftest import RunBounded
from tests.fuzz.intact import UM_PER_PX, Pixels, write_image
from tests.fuzz.judge import find_faults
from tests.fuzz.mutate import MUTATIONS
from tests.fuzz.mutate_text import damage_text, mutate_json, mutate_table

Damage = Callable[[np.random.Generator], bytes]
Try = Callable[..., None]

REGION = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": "6f1c1a5e-0000-4000-8000-000000000001",
            "geometry": {"type": "Polygon", "coordinates": [[[50, 50], [900, 60], [850, 700], [50, 50]]]},
            "properties": {
                "objectType": "annotation",
                "classification": {"name": "Tumor", "color": [1, 2, 3]},
            },
        }
    ],
}
PATCHES = "file,gland,non_gland,patient,um_per_px\ngland.png,1,0,one,0.62\nother.png,0,1,one,0.62\n"
INDEX = "name,patient,um_per_px\none,first,0.62\ntwo,first,0.62\n"
SETTINGS = {"labels": "patches", "um_per_px": 0.62, "segmenter": {"fit": {"steps": 3, "lr": 0.01}}}


@pytest.fixture
def slide(tmp_path: Path, fuzz_image: Pixels) -> Path:
    path = tmp_path / "slide.png"
    write_image(path, fuzz_image)
    return path


@pytest.fixture
def infer(tmp_path: Path, slide: Path, red_model: Path, run_bounded: RunBounded) -> Callable[..., list[str]]:
    def run(*options: object, model: Path = red_model) -> list[str]:
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        cpu = ("--device", "cpu", "--threads", 1, "--max-ram", 1, "--mpp", UM_PER_PX)
        end = run_bounded("infer", slide, "--out", out, "--model", model, *cpu, *options)
        return [f"{fault}; {end.lines[-1:]}" for fault in find_faults(end, out)]

    return run


def find_all(cases: int, seed: int, damage: Damage, run: Callable[[bytes], list[str]]) -> list[str]:
    """Run damaged inputs and return the faults of all, each with the case that showed it."""
    faults = []
    for case in range(cases):
        data = damage(np.random.default_rng([seed, case]))
        faults += [f"case {case}: {fault}; {data[:200]!r}" for fault in run(data)]
    return faults


def test_damaged_models(
    tmp_path: Path, red_model: Path, infer: Callable[..., list[str]], fuzz_cases: int
) -> None:
    intact, path = red_model.read_bytes(), tmp_path / "model.onnx"

    def run(data: bytes) -> list[str]:
        path.write_bytes(data)
        return infer(model=path)

    def damage(random: np.random.Generator) -> bytes:
        return MUTATIONS[random.integers(len(MUTATIONS))](intact, random)

    assert infer() == []
    assert find_all(3 * fuzz_cases, 1, damage, run) == []


def test_hostile_cards(
    tmp_path: Path, write_model: WriteModel, infer: Callable[..., list[str]], fuzz_cases: int
) -> None:
    card = json.loads(CARD.to_metadata()[METADATA_KEY])

    def run(data: bytes) -> list[str]:
        path = write_model(tmp_path / "model.onnx", {METADATA_KEY: data.decode()})
        return infer(model=path)

    assert find_all(3 * fuzz_cases, 2, lambda random: mutate_json(card, random).encode(), run) == []


def test_hostile_records(
    tmp_path: Path, red_model: Path, infer: Callable[..., list[str]], fuzz_cases: int
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(red_model.read_bytes())
    record = {"files": {"model.onnx": {"sha256": "0" * 64}}}

    def run(data: bytes) -> list[str]:
        path.with_suffix(".json").write_bytes(data)
        return infer(model=path)

    assert find_all(fuzz_cases, 3, lambda random: mutate_json(record, random).encode(), run) == []


@pytest.mark.parametrize("seed", [4, 5])
def test_hostile_regions(seed: int, tmp_path: Path, infer: Callable[..., list[str]], fuzz_cases: int) -> None:
    path = tmp_path / "roi.geojson"

    def damage(random: np.random.Generator) -> bytes:
        return mutate_json(REGION, random).encode() if seed == 4 else damage_text(json.dumps(REGION), random)

    def run(data: bytes) -> list[str]:
        path.write_bytes(data)
        return infer("--roi", path)

    path.write_text(json.dumps(REGION))
    assert infer("--roi", path) == []
    assert find_all(2 * fuzz_cases, seed, damage, run) == []


@pytest.fixture
def train(tmp_path: Path, run_bounded: RunBounded) -> Callable[..., list[str]]:
    """Return a function that trains on one patient's patches, which is refused once all was read."""
    data = tmp_path / "data"
    data.mkdir()
    for name in ("gland.png", "other.png"):
        cv2.imwrite(
            str(data / name), np.random.default_rng(len(name)).integers(0, 200, (112, 112, 3), np.uint8)
        )

    def run(*options: object, table: bytes = PATCHES.encode()) -> list[str]:
        (data / "patches.csv").write_bytes(table)
        out = tmp_path / "run"
        shutil.rmtree(out, ignore_errors=True)
        end = run_bounded("train", data, "--out", out, "--threads", 1, *options)
        trains = [] if end.code in (2, 3) else [f"exit code {end.code}: it must be refused"]
        return [f"{fault}; {end.lines[-1:]}" for fault in find_faults(end, out) + trains]

    return run


@pytest.mark.parametrize("seed", [6, 7])
def test_hostile_tables(seed: int, train: Callable[..., list[str]], fuzz_cases: int) -> None:
    pytest.importorskip("torch")

    def damage(random: np.random.Generator) -> bytes:
        if seed == 7:
            return damage_text(PATCHES, random)
        return mutate_table(PATCHES, random).encode("utf-8", "surrogatepass")

    assert train() == []
    assert find_all(fuzz_cases, seed, damage, lambda data: train(table=data)) == []


@pytest.mark.parametrize("seed", [8, 9])
def test_hostile_settings(
    seed: int, tmp_path: Path, train: Callable[..., list[str]], fuzz_cases: int
) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "settings.yaml"

    def damage(random: np.random.Generator) -> bytes:
        if seed == 8:
            return mutate_json(SETTINGS, random).encode()  # JSON is YAML
        return damage_text(yaml.safe_dump(SETTINGS), random)

    def run(data: bytes) -> list[str]:
        path.write_bytes(data)
        return train("--settings", path)

    path.write_text(json.dumps(SETTINGS))
    assert train("--settings", path) == []
    assert find_all(fuzz_cases, seed, damage, run) == []
