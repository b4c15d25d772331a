"""The script that builds PyCUDA's wheel: its parts that need no download."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "build_pycuda.py"


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_pycuda", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_stub_has_the_drivers_calls_and_its_name(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "cuda.h").write_text(
        "#define cuMemAlloc cuMemAlloc_v2\nCUresult CUDAAPI cuMemAlloc(size_t *);\ntypedef int CUresult;\n"
    )
    (tmp_path / "cudaProfiler.h").write_text("CUresult CUDAAPI cuProfilerStart(void);\n")
    assert script.make_stub(tmp_path, [tmp_path]) == tmp_path
    library = (tmp_path / "libcuda.so").read_bytes()
    for name in (b"cuMemAlloc_v2", b"cuProfilerStart", b"libcuda.so.1"):
        assert name in library


def test_the_build_is_told_where_its_parts_are(script: ModuleType, tmp_path: Path) -> None:
    script.write_settings(tmp_path, [tmp_path / "include"], tmp_path / "lib")
    settings: dict[str, object] = {}
    exec((tmp_path / "siteconf.py").read_text(encoding="utf-8"), settings)
    assert settings["CUDA_INC_DIR"] == [str(tmp_path / "include")]
    assert settings["CUDADRV_LIB_DIR"] == [str(tmp_path / "lib")]
    assert settings["CUDA_ENABLE_CURAND"] is False


def test_a_missing_compiler_is_told(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["build_pycuda.py", "--out", str(tmp_path)])
    monkeypatch.setattr(script, "WINDOWS", False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"c\+\+: not found. Install a C\+\+ compiler"):
        script.main()


def test_a_failing_step_is_told(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(work: Path, out: Path) -> None:
        raise subprocess.CalledProcessError(1, ["pip", "download", "pycuda"])

    monkeypatch.setattr("sys.argv", ["build_pycuda.py", "--out", str(tmp_path)])
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(script, "build", fail)
    with pytest.raises(SystemExit, match="pip download pycuda: failed with exit code 1"):
        script.main()
