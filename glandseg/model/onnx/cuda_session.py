"""A session of ONNX Runtime on a GPU, for batches of one size; what really runs there is looked up."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from glandseg.core.errors import BadInputError
from glandseg.model.onnx.open_session import CPU_NODES, describe_gpu_failure, make_options, open_session

_BATCH_NAMES = ("batch", "N")  # the free dimension of exported models


def preload_libraries(runtime: Any) -> None:
    """Load CUDA's libraries where pip put them; what ONNX Runtime prints of missing ones is for doctor."""
    if hasattr(runtime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            runtime.preload_dlls()


def open_cuda_session(runtime: Any, path: Path, ordinal: int, batch: int) -> Any:
    """Open a session all of whose nodes run on the GPU, or at least all that can.

    Args:
        runtime: ONNX Runtime.
        path: of the .onnx file.
        ordinal: of the GPU.
        batch: windows of every call.

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
        options.log_severity_level = 4  # what is refused is raised, so need not be printed too
    cuda = {
        "device_id": ordinal,
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0",  # float32 stays float32; who wants speed takes the float16 model
    }
    return open_session(runtime, path, options, [("CUDAExecutionProvider", cuda)])
