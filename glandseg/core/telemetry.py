"""Telemetry of third-party libraries, disabled before any of them is imported.

ONNX Runtime 1.29 and later writes a device id below the home folder while it is imported and sends events
to Microsoft; calling its `disable_telemetry_events` comes too late for the first of them. The variables
below are read when a library starts, so the package sets them before its own modules import any.
"""

from __future__ import annotations

import os
import sys

REFUSALS = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",  # honoured by Hugging Face and others
}
_READ_AT_IMPORT = {"onnxruntime": "ORT_DISABLE_TELEMETRY", "huggingface_hub": "HF_HUB_DISABLE_TELEMETRY"}


def refuse_telemetry() -> list[str]:
    """Set the variables for this process and its children.

    Returns:
        Libraries that were imported earlier, with telemetry enabled.
    """
    early = [
        library
        for library, name in _READ_AT_IMPORT.items()
        if library in sys.modules and os.environ.get(name) != REFUSALS[name]
    ]
    os.environ.update(REFUSALS)
    return early
