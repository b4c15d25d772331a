"""`glandseg infer --device cuda` on a real NVIDIA GPU; skipped where there is none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from glandseg.model.files import BUNDLED, FP16_SUFFIX, check_model
from glandseg.model.gpu import NONE, read_machine
from glandseg.model.open_backend import open_backend
from glandseg.runtime.infer import infer_slide
from glandseg.runtime.outputs.write import MASK_SUFFIX, RECORD_SUFFIX, OutputPaths
from glandseg.runtime.settings import InferSettings
from glandseg.synthetic import draw_tile, write_slide

Run = Callable[..., Any]
FP16 = BUNDLED.with_name(f"{BUNDLED.stem}{FP16_SUFFIX}.onnx")
SPARE = 512 << 20  # bytes of GPU memory left beside what one window needs; 256 windows need more
MEMORY = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
free, total, context, memory = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_void_p(), ctypes.c_uint64()
assert cuda.cuInit(0) == 0
assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
assert cuda.cuCtxSetCurrent(context) == 0
def read_memory():
    assert cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0
"""
MEASURE_ONE_WINDOW = f"""{MEMORY}
from pathlib import Path
import numpy as np
from glandseg.model.open_backend import open_backend
with open_backend(Path(sys.argv[1]), device="cuda", batch=1) as backend:
    backend.infer(np.zeros((1, 320, 320, 3), np.uint8))
    read_memory()
print(total.value - free.value)
"""
TAKE_MEMORY = f"""{MEMORY}
read_memory()
assert cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(free.value - int(sys.argv[1]))) == 0
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def needs_a_gpu() -> None:
    runtime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" not in runtime.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA")
    if read_machine().gpu == NONE:
        pytest.skip("needs an NVIDIA GPU and its driver")


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of 3 x 3 drawn tiles of tissue."""
    path = tmp_path_factory.mktemp("slide") / "drawn.tif"
    rows = [[draw_tile(1000, 0.5, 3 * y + x, "mixed")[0] for x in range(3)] for y in range(3)]
    write_slide(path, np.vstack([np.hstack(row) for row in rows]), 0.5)
    return path


@pytest.fixture
def taken_memory() -> Iterator[None]:
    """Another process that holds the GPU's memory but what one window needs and `SPARE`."""
    measure = [sys.executable, "-c", MEASURE_ONE_WINDOW, str(BUNDLED)]
    needed = int(subprocess.run(measure, capture_output=True, text=True, check=True).stdout)
    command = [sys.executable, "-c", TAKE_MEMORY, str(needed + SPARE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield
        process.communicate("")


def read_mask(slide: Path, out: Path) -> Any:
    return tifffile.imread(OutputPaths.of_slide(slide, out)[MASK_SUFFIX]) > 0


@pytest.mark.parametrize("precision", ["float32", "float16", "auto"])
def test_the_gpu_finds_what_the_cpu_finds(
    slide: Path, tmp_path: Path, run_command: Run, precision: str
) -> None:
    asked = ("--precision", "float32", "--device", "cpu")
    assert run_command("infer", slide, *asked, "--out", tmp_path / "cpu").code == 0
    on_gpu = ("--precision", precision, "--device", "cuda", "--require-gpu")
    outcome = run_command("infer", slide, *on_gpu, "--out", tmp_path / "gpu")
    assert outcome.code == 0
    assert outcome.err == []
    assert any("CUDA, GPU 0" in line for line in outcome.out)
    assert ("precision: float16, the fastest on a GPU" in outcome.out) == (precision == "auto")
    cpu, gpu = read_mask(slide, tmp_path / "cpu"), read_mask(slide, tmp_path / "gpu")
    assert gpu.any()
    assert 2 * (cpu & gpu).sum() / (cpu.sum() + gpu.sum()) > 0.998


def test_an_interrupted_run_resumes_to_the_same_bytes(slide: Path, tmp_path: Path) -> None:
    def infer(name: str, stop_at: int | None = None) -> Path:
        def advance(done: int, total: int) -> None:
            if stop_at is not None and done >= stop_at:
                raise KeyboardInterrupt

        out = tmp_path / name
        with open_backend(FP16, device="cuda", batch=4) as backend:
            model = check_model(FP16, "--model")
            infer_slide(slide, backend, model, InferSettings(batch=4), out=out, advance=advance)
        return out

    whole = infer("whole")
    with pytest.raises(KeyboardInterrupt):
        infer("torn", stop_at=9)
    assert not list((tmp_path / "torn").glob("*.geojson"))
    torn = infer("torn")
    for path in sorted(whole.iterdir()):
        if not path.name.endswith(RECORD_SUFFIX):  # the record holds times
            assert path.read_bytes() == (torn / path.name).read_bytes(), path.name


def test_a_batch_that_does_not_fit_is_halved(slide: Path, tmp_path: Path, taken_memory: None) -> None:
    command = [sys.executable, "-m", "glandseg", "infer", str(slide), "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--device", "cuda", "--precision", "float32", "--batch", "256"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "not enough GPU memory for 256 windows" in done.stdout
    assert read_mask(slide, tmp_path).any()


def test_slides_follow_each_other_in_one_command(slide: Path, tmp_path: Path, run_command: Run) -> None:
    second = tmp_path / "second.tif"
    second.write_bytes(slide.read_bytes())
    assert run_command("infer", slide, second, "--device", "cuda", "--out", tmp_path / "out").code == 0
    first_mask, second_mask = read_mask(slide, tmp_path / "out"), read_mask(second, tmp_path / "out")
    assert cv2.countNonZero(first_mask.astype(np.uint8)) > 0
    assert np.array_equal(first_mask, second_mask)


def test_auto_takes_the_gpu(slide: Path, tmp_path: Path, run_command: Run) -> None:
    outcome = run_command("infer", slide, "--out", tmp_path)
    assert outcome.code == 0
    model = next(line for line in outcome.out if line.startswith("model: "))
    assert "CUDA, GPU 0" in model or "TensorRT" in model


def test_a_gpu_that_is_not_there(slide: Path, tmp_path: Path, run_command: Run) -> None:
    outcome = run_command("infer", slide, "--device", "cuda:99", "--out", tmp_path)
    assert outcome.code == 3
    assert len(outcome.err) == 1
    assert "Traceback" not in outcome.err[0]


def test_doctor_knows_the_gpu(run_command: Run) -> None:
    outcome = run_command("doctor")
    assert any(read_machine().gpu in line for line in outcome.out)
