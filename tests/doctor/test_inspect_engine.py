"""What an engine is, by its fingerprint file."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.doctor import inspect_engine as engine_report
from glandseg.doctor.inspect_engine import inspect_engine, list_misfits
from glandseg.model.card import ModelCard
from glandseg.model.gpu import Machine
from glandseg.model.tensorrt.fingerprint import Fingerprint, find_fingerprint_file, write_fingerprint_file
from glandseg.model.tensorrt.package import RTX, TensorRtPackage

CARD = ModelCard(name="red", network="", tissue="drawings", um_per_px=1.4, weights_sha256="0" * 64)
MACHINE = Machine(system="Linux x86_64", gpu="RTX", compute_capability="8.9", driver="580", cuda="13.0")
FINGERPRINT = Fingerprint(
    onnx_sha256="1" * 64,
    weights_sha256="0" * 64,
    package=RTX,
    version="1.7",
    profile=(8, 320, 320, 3),
    precision="float16",
    share=0.9,
    measured_on="network",
    layers={"CONVOLUTION": {"float16": 58}},
    card=asdict(CARD),
    **asdict(MACHINE),
)


@pytest.fixture(autouse=True)
def trt_package(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(ComputeCapability=SimpleNamespace(__members__={"SM89": 1, "SM120": 2}))
    found = TensorRtPackage(module=module, package=RTX, version="1.7")
    monkeypatch.setattr(engine_report, "find_package", lambda package: found)
    monkeypatch.setattr(engine_report, "read_machine", lambda: MACHINE)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "red.engine"
    path.write_bytes(b"a plan")
    write_fingerprint_file(path, FINGERPRINT)
    return path


def test_an_engine_that_fits(plan: Path) -> None:
    report = inspect_engine(plan)
    assert (report.name, report.size, report.whole) == ("red.engine", 6, True)
    assert report.record == "red.engine.json agrees"
    assert report.card == CARD
    assert report.misfits == ()


def test_an_engine_that_was_replaced(plan: Path) -> None:
    plan.write_bytes(b"another")
    report = inspect_engine(plan)
    assert not report.whole
    assert report.record.endswith("damaged or replaced")


def test_why_an_engine_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list_misfits(replace(FINGERPRINT, version="1.6"), MACHINE) == ["version: built with 1.6, here 1.7"]
    assert list_misfits(FINGERPRINT, Machine(system="Linux x86_64")) == ["no NVIDIA GPU here"]
    (old,) = list_misfits(FINGERPRINT, replace(MACHINE, compute_capability="6.1"))
    assert "does not run on RTX" in old

    def lack(package: str) -> None:
        raise EnvironmentLacksError("TensorRT cannot be imported.")

    monkeypatch.setattr(engine_report, "find_package", lack)
    assert list_misfits(FINGERPRINT, MACHINE) == ["TensorRT cannot be imported."]


def test_an_engine_without_card(tmp_path: Path) -> None:
    path = tmp_path / "bare.engine"
    path.write_bytes(b"a plan")
    write_fingerprint_file(path, replace(FINGERPRINT, card={}))
    assert inspect_engine(path).card is None


def test_an_engine_that_nothing_is_known_of(plan: Path) -> None:
    find_fingerprint_file(plan).unlink()
    with pytest.raises(BadInputError, match=r"red\.engine\.json is not there"):
        inspect_engine(plan)
    with pytest.raises(BadInputError, match="no such engine"):
        inspect_engine(plan.with_name("none.engine"))
