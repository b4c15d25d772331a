"""ONNX Runtime's session on a GPU for batches of one size, and buffers there that are bound to it."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.onnx.open_session import (
    CPU_NODES,
    describe_gpu_failure,
    import_onnxruntime,
    make_options,
    open_session,
    translated_errors,
)
from glandseg.model.ports import INPUT, OUTPUT
from glandseg.model.windows import WINDOW_PX

_BATCH_NAMES = ("batch", "N")  # the free dimension of exported models
_NO_CUDA = (
    "cuda: this ONNX Runtime has no CUDA. pip uninstall -y onnxruntime, then pip install "
    '"glandseg[gpu]", or leave --device out to run on the CPU.'
)


def import_with_cuda() -> Any:
    """Import ONNX Runtime and load CUDA's libraries where pip put them.

    What ONNX Runtime prints of missing ones is for `glandseg doctor`.

    Raises:
        EnvironmentLacksError: if this ONNX Runtime was built without CUDA, or a library does not load.
    """
    runtime = import_onnxruntime()
    if "CUDAExecutionProvider" not in runtime.get_available_providers():
        raise EnvironmentLacksError(_NO_CUDA)
    if hasattr(runtime, "preload_dlls"):
        with translated_errors(runtime), contextlib.redirect_stdout(io.StringIO()):
            runtime.preload_dlls()
    return runtime


def open_cuda_session(runtime: Any, path: Path, ordinal: int, batch: int) -> Any:
    """Open a session with every node on the GPU, or at least all that can run there.

    Args:
        runtime: ONNX Runtime.
        path: ONNX file.
        ordinal: Number of the GPU.
        batch: Windows of every call.

    Raises:
        BadInputError: if the file cannot be loaded.
        EnvironmentLacksError: if CUDA does not start.
        MemoryError: if the GPU has not enough memory.
    """
    try:
        return _open_for_batch(runtime, path, ordinal, batch, strict=True)
    except BadInputError as error:
        if CPU_NODES not in str(error):
            raise
    session = _open_for_batch(runtime, path, ordinal, batch, strict=False)
    running = session.get_providers()[0].removesuffix("ExecutionProvider")
    if running != "CUDA":
        raise describe_gpu_failure(runtime, RuntimeError(f"ONNX Runtime fell back to {running}"))
    return session


def _open_for_batch(runtime: Any, path: Path, ordinal: int, batch: int, *, strict: bool) -> Any:
    options = make_options(runtime)
    for name in _BATCH_NAMES:
        options.add_free_dimension_override_by_name(name, batch)
    if strict:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    cuda = {
        "device_id": ordinal,
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0",  # float32 stays float32; the float16 model is the fast one
    }
    return open_session(runtime, path, options, [("CUDAExecutionProvider", cuda)])


class BoundBuffers:
    """Input and output of one batch on the GPU, bound to a session.

    Args:
        runtime: ONNX Runtime.
        session: Session with CUDA.
        batch: Windows in one batch.
        classes: Number of classes.
        ordinal: Number of the GPU.
    """

    def __init__(self, runtime: Any, session: Any, batch: int, classes: int, ordinal: int) -> None:
        allocate = runtime.OrtValue.ortvalue_from_shape_and_type
        self.batch = batch
        self._session, self._binding = session, session.io_binding()
        self._host = np.zeros((batch, WINDOW_PX, WINDOW_PX, 3), np.uint8)
        self._windows = allocate(self._host.shape, np.uint8, "cuda", ordinal)
        self._answers = allocate((batch, classes, WINDOW_PX, WINDOW_PX), np.uint8, "cuda", ordinal)
        self._binding.bind_ortvalue_input(INPUT, self._windows)
        self._binding.bind_ortvalue_output(OUTPUT, self._answers)

    def run(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute the probabilities of at most a batch, which earlier windows fill up."""
        self._host[: len(windows)] = windows
        self._windows.update_inplace(self._host)
        self._binding.synchronize_inputs()
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        answers: NDArray[np.uint8] = self._answers.numpy()[: len(windows)]
        return answers
