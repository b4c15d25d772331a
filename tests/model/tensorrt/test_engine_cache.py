"""The engine of a model: kept, checked, built again."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.core.system import hash_file
from glandseg.model.files import BUNDLED
from glandseg.model.gpu import Machine, read_machine
from glandseg.model.tensorrt import engine_file, request
from glandseg.model.tensorrt.engine_cache import find_cache, find_engine
from glandseg.model.tensorrt.engine_file import EngineFile
from glandseg.model.tensorrt.fingerprint import StaleEngineError, find_fingerprint_file
from glandseg.model.tensorrt.package import RTX, TensorRtPackage

WriteNetwork = Callable[..., Path]
Find = Callable[..., EngineFile]


@pytest.fixture
def model(write_network: WriteNetwork, tmp_path: Path) -> Path:
    """NAME.onnx with NAME.fp16.onnx beside it."""
    folder = tmp_path / "models"
    folder.mkdir()
    write_network(folder / "small.fp16.onnx", "float16")
    return write_network(folder / "small.onnx")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def find_one(rtx: TensorRtPackage, tmp_path: Path, said: list[str]) -> Find:
    def call(path: Path, **options: Any) -> EngineFile:
        defaults: dict[str, Any] = {
            "batch": 1,
            "package": RTX,
            "cache": tmp_path / "cache",
            "say": said.append,
        }
        return find_engine(path, **(defaults | options))

    return call


def set_machine(monkeypatch: pytest.MonkeyPatch, **facts: str) -> None:
    here = Machine(system=read_machine().system, **facts)
    for module in (engine_file, request):
        monkeypatch.setattr(module, "read_machine", lambda: here)


def edit_fingerprint_file(plan: Path, **facts: Any) -> None:
    fingerprint_file = find_fingerprint_file(plan)
    fingerprint_file.write_text(json.dumps(json.loads(fingerprint_file.read_text()) | facts))


def test_an_engine_is_built_once(model: Path, find_one: Find, said: list[str]) -> None:
    first = find_one(model)
    assert first.built and first.path == model.with_name("small.fp16.engine")
    assert first.facts.plan_sha256 == hash_file(first.path)
    assert first.facts.onnx_sha256 == hash_file(model.with_name("small.fp16.onnx"))
    assert (first.facts.precision, first.facts.batch, first.card.um_per_px) == ("float16", 1, 1.0)
    assert first.facts.share > 0.4 and first.facts.measured_on == "network"
    assert len(said) == 2 and said[1].startswith(f"{first.path}: TensorRT for RTX")
    second = find_one(model)
    assert not second.built and replace(second, built=True) == first
    assert len(said) == 2


def test_nothing_else_is_left_behind(model: Path, find_one: Find, tmp_path: Path) -> None:
    find_one(model)
    names = ["small.fp16.engine", "small.fp16.engine.json", "small.fp16.onnx", "small.onnx"]
    assert sorted(path.name for path in model.parent.iterdir()) == names
    assert not (tmp_path / "cache").exists()


def test_float32_without_a_half_file_is_reported(model: Path, find_one: Find, said: list[str]) -> None:
    model.with_name("small.fp16.onnx").unlink()
    assert find_one(model).facts.precision == "float32"
    assert "small.fp16.onnx is not there: the engine computes in float32" in said[0]


def test_float16_that_is_not_there_is_refused(model: Path, find_one: Find) -> None:
    model.with_name("small.fp16.onnx").unlink()
    with pytest.raises(BadInputError, match=r"small\.fp16\.onnx: not there, so no engine in float16"):
        find_one(model, precision="float16")


@pytest.mark.parametrize("given", ["small.onnx", "small.fp16.onnx"])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_precision_asked_for_is_taken(model: Path, find_one: Find, given: str, precision: str) -> None:
    engine = find_one(model.with_name(given), precision=precision)
    assert engine.facts.precision == engine.card.precision == precision


def test_int8_is_the_file_for_tensorrt(model: Path, find_one: Find, write_network: WriteNetwork) -> None:
    write_network(model.with_name("small.int8.trt.onnx"), "int8")
    engine = find_one(model, precision="int8")
    assert engine.facts.precision == engine.card.precision == "int8"
    assert engine.path == model.with_name("small.int8.trt.engine")
    assert find_one(engine.path).path == engine.path


def test_another_model_is_built_again(
    model: Path, find_one: Find, said: list[str], write_network: WriteNetwork
) -> None:
    first = find_one(model)
    other = replace(first.card, name="another")
    write_network(model.with_name("small.fp16.onnx"), "float16", other)
    second = find_one(model)
    assert second.built and second.card.name == "another"
    assert "onnx_sha256: built with" in said[2]


def test_another_batch_is_built_again(model: Path, find_one: Find, said: list[str]) -> None:
    find_one(model, batch=2)
    assert find_one(model, batch=None).facts.batch == 2
    assert find_one(model, batch=3).facts.batch == 3
    assert "profile: built with 2x320x320x3, here 3x320x320x3" in said[2]


@pytest.mark.parametrize("name", ["version", "onnx_sha256", "weights_sha256", "precision"])
def test_a_plan_that_does_not_fit_is_built_again(
    model: Path, find_one: Find, said: list[str], name: str
) -> None:
    plan = find_one(model).path
    edit_fingerprint_file(plan, **{name: "1.0.0.21"})
    assert find_one(model).built
    assert f"{name}: built with 1.0.0.21, here " in said[2]
    assert not find_one(model).built


def test_a_plan_cut_short_is_built_again(model: Path, find_one: Find, said: list[str]) -> None:
    plan = find_one(model).path
    whole = plan.read_bytes()
    plan.write_bytes(whole[:1000])
    assert find_one(model).built and len(plan.read_bytes()) == len(whole)
    assert "damaged, cut short or replaced" in said[2]


def test_a_renamed_plan_is_built_again(
    model: Path, find_one: Find, said: list[str], write_network: WriteNetwork
) -> None:
    plan = find_one(model).path
    other = write_network(
        model.with_name("other.fp16.onnx"), "float16", replace(find_one(model).card, name="o")
    )
    for path in (plan, find_fingerprint_file(plan)):
        path.rename(path.with_name(path.name.replace("small", "other")))
    assert find_one(other).built
    assert "other.fp16.engine: onnx_sha256: built with" in said[2]


def test_a_plan_without_fingerprint_file_is_refused(model: Path, find_one: Find) -> None:
    plan = find_one(model).path
    find_fingerprint_file(plan).unlink()
    content = plan.read_bytes()
    with pytest.raises(BadInputError, match=r"nothing states what it holds.* Remove small\.fp16\.engine"):
        find_one(model)
    assert plan.read_bytes() == content and not find_fingerprint_file(plan).exists()


@pytest.mark.parametrize("content", ["", "{}", '{"kind": "trtexec timing"}'])
def test_a_foreign_fingerprint_file_is_refused(model: Path, find_one: Find, content: str) -> None:
    plan = find_one(model).path
    find_fingerprint_file(plan).write_text(content)
    with pytest.raises(
        BadInputError, match=r"small\.fp16\.engine\.json: .* Remove small.fp16.engine to have it"
    ):
        find_one(model)


def test_a_given_plan_is_checked_against_the_onnx_beside_it(
    model: Path, find_one: Find, said: list[str]
) -> None:
    plan = find_one(model, batch=2).path
    assert find_one(plan, batch=None).path == plan
    edit_fingerprint_file(plan, version="1.0.0.21")
    again = find_one(plan, batch=2)
    assert again.built and again.path == plan


def test_a_plan_alone_is_opened_if_it_fits(model: Path, find_one: Find, tmp_path: Path) -> None:
    plan = find_one(model).path
    alone = tmp_path / "alone.engine"
    shutil.copy(plan, alone)
    shutil.copy(find_fingerprint_file(plan), find_fingerprint_file(alone))
    opened = find_one(alone)
    assert opened.path == alone and opened.card == find_one(model).card and opened.facts.batch == 1
    edit_fingerprint_file(alone, version="1.0.0.21")
    with pytest.raises(BadInputError, match=r"built with 1\.0\.0\.21.* Put alone\.onnx beside it"):
        find_one(alone)
    find_fingerprint_file(alone).unlink()
    with pytest.raises(BadInputError, match=r"nothing states what it holds.* Put alone\.onnx beside it"):
        find_one(alone)
    with pytest.raises(BadInputError, match=r"absent\.engine: no such plan"):
        find_one(tmp_path / "absent.engine")


def test_the_bundled_models_engine_is_of_float16_and_lies_in_the_cache(
    find_one: Find, tmp_path: Path, said: list[str]
) -> None:
    engine = find_one(BUNDLED)
    assert engine.path.parent == tmp_path / "cache" and engine.path.name.startswith("glandseg-colon.fp16-")
    assert engine.facts.precision == "float16" and len(said) == 2
    assert not list(BUNDLED.parent.glob("*.engine*"))
    assert not find_one(BUNDLED).built


def test_what_cannot_be_kept_beside_the_model_goes_to_the_cache(
    model: Path, find_one: Find, tmp_path: Path
) -> None:
    model.with_name("small.fp16.engine").mkdir()  # in the way, also for one who may write everywhere
    engine = find_one(model)
    assert engine.path.parent == tmp_path / "cache"
    assert not find_one(model).built
    assert sorted(path.name for path in model.parent.iterdir()) == [
        "small.fp16.engine", "small.fp16.onnx", "small.onnx",
    ]  # fmt: skip


def test_no_place_at_all_is_reported(model: Path, find_one: Find, tmp_path: Path) -> None:
    model.with_name("small.fp16.engine").mkdir()
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(
        EnvironmentLacksError, match=r"small\.fp16\.engine: cannot be kept in .*models nor .*cache"
    ):
        find_one(model)


def test_an_rtx_plan_must_serve_the_gpu(
    model: Path, find_one: Find, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_one(model, targets=["sm86"])
    set_machine(monkeypatch, gpu="RTX 3090", compute_capability="8.6", driver="580.1", cuda="13.0")
    assert not find_one(model).built
    set_machine(monkeypatch, gpu="RTX 4090", compute_capability="8.9", driver="590.2", cuda="13.1")
    engine = find_one(model)
    assert engine.built and engine.facts.targets == ("sm89",) and engine.facts.gpu == "RTX 4090"
    assert "targets: built for sm86, here sm89." in said[2]


def test_a_gpu_that_rtx_does_not_know_is_refused(
    model: Path, find_one: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_machine(monkeypatch, gpu="NVIDIA H100", compute_capability="9.0")
    with pytest.raises(EnvironmentLacksError, match="does not run on NVIDIA H100"):
        find_one(model)


def test_a_damaged_model_is_refused(model: Path, find_one: Find) -> None:
    record = {"files": {"small.fp16.onnx": {"sha256": "0" * 64}}}
    model.with_name("small.json").write_text(json.dumps(record))
    with pytest.raises(BadInputError, match=r"small\.json says 000000000000"):
        find_one(model)


def test_the_cache_is_the_users() -> None:
    assert Path.home() in find_cache().parents
    assert "glandseg" in find_cache().parts


def test_where_nothing_may_be_built_a_stale_plan_is_told_and_left(model: Path, find_one: Find) -> None:
    plan = find_one(model).path
    edit_fingerprint_file(plan, version="1.0.0.21")
    before = plan.read_bytes(), find_fingerprint_file(plan).read_bytes()
    for given in (plan, model):
        with pytest.raises(StaleEngineError, match=r"small\.fp16\.engine: version: built with 1\.0\.0\.21"):
            find_one(given, rebuild=False)
    assert (plan.read_bytes(), find_fingerprint_file(plan).read_bytes()) == before
    plan.unlink()
    with pytest.raises(StaleEngineError, match=r"small\.fp16\.engine: no such plan"):
        find_one(model, rebuild=False)
    assert not plan.exists()


def test_an_engine_of_a_halved_batch_does_not_replace_the_good_one(
    model: Path, find_one: Find, tmp_path: Path
) -> None:
    good = find_one(model, batch=2)
    halved = find_one(model, batch=1, halved=True)
    assert (halved.facts.batch, halved.path.parent) == (1, tmp_path / "cache")
    assert not find_one(model, batch=1, halved=True).built
    again = find_one(model, batch=None)
    assert (again.path, again.facts, again.built) == (good.path, good.facts, False)


def test_of_two_tensorrts_the_one_that_built_the_plan_is_taken(
    model: Path, find_one: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = find_one(model, targets=["sm86"]).path
    full = SimpleNamespace(
        __version__="11.4.0", NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=1)
    )
    monkeypatch.setitem(sys.modules, "tensorrt", full)
    for given in (model, plan):
        engine = find_one(given, package=None)
        assert (engine.built, engine.path, engine.facts.targets) == (False, plan, ("sm86",))


def test_a_graph_of_something_else_is_refused_before_it_is_built(
    model: Path, find_one: Find, write_network: WriteNetwork
) -> None:
    onnx = pytest.importorskip("onnx")
    half = model.with_name("small.fp16.onnx")
    changed = onnx.load(half)
    for node in changed.graph.node:
        node.output[:] = ["output" if name == "probabilities" else name for name in node.output]
    changed.graph.output[0].name = "output"
    half.write_bytes(changed.SerializeToString())
    with pytest.raises(
        BadInputError, match=r"small\.fp16\.onnx: .* answers with 'output', not 'probabilities'"
    ):
        find_one(model)


def test_weights_in_another_file_are_refused(model: Path, find_one: Find) -> None:
    onnx = pytest.importorskip("onnx")
    half = model.with_name("small.fp16.onnx")
    onnx.save(onnx.load(half), half, save_as_external_data=True, location="w.bin", size_threshold=0)
    with pytest.raises(BadInputError, match=r"small\.fp16\.onnx: its weights lie outside this file"):
        find_one(model)
