"""The devices put to the test: a session is started on each, and its speed measured."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from glandseg.doctor.finding import Finding, ok
from glandseg.doctor.isolation import look_apart
from glandseg.model.device import DEVICES, parse_device
from glandseg.model.files import BUNDLED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from glandseg.model.backend import ModelBackend

BATCH = 8  # as `glandseg infer` runs by default
SPEED_SECONDS = 2.0
_SEED = 7
TIMEOUT_SECONDS = 300.0  # TensorRT may have to build an engine first


def look_at_devices(asked: str, gpu: bool) -> list[Finding]:
    """Run the bundled model on each device, and measure its speed.

    Args:
        asked: a device, as users write it; it and the CPU must run, that others do not is worth a note.
        gpu: whether there is one; without, only the CPU and the asked device are tried.
    """
    needed = name_needed(asked)
    kind = parse_device(needed).kind
    tried = [needed if device == kind else device for device in DEVICES if device != "auto"]
    tried = [device for device in tried if gpu or device in ("cpu", needed)]
    found = [finding for device in tried for finding in _try_apart(device, BUNDLED, SPEED_SECONDS)]
    return [finding if finding.topic in ("cpu", needed) else _soften(finding) for finding in found]


def name_needed(asked: str) -> str:
    """Name the device that must run where this one is asked for: "auto" can do with the CPU."""
    return "cpu" if asked == "auto" else asked


def try_devices(model: Path) -> list[Finding]:
    """Start a model on every device there could be, and say which run it, and why others do not."""
    return [finding for device in DEVICES if device != "auto" for finding in _try_apart(device, model, 0)]


def _try_apart(device: str, model: Path, seconds: float) -> list[Finding]:
    return look_apart(device, try_device, device, str(model), str(seconds), timeout_s=TIMEOUT_SECONDS)


def try_device(device: str, model: str, seconds: str = "0") -> list[Finding]:
    """Run a model on a device, for so many seconds; none only prove that it runs."""
    from glandseg.model.open_backend import open_backend
    from glandseg.model.windows import STRIDE_PX

    with open_backend(Path(model), device=device) as backend:
        windows = draw_windows(backend.card.um_per_px)
        backend.infer(windows)
        if not float(seconds):
            return [ok(device, f"runs: {backend.name}")]
        rate = measure_rate(backend, windows, float(seconds))
        seconds_per_cm2 = 1e8 / (STRIDE_PX * backend.card.um_per_px) ** 2 / rate
        speed = f"{rate:.1f} windows/s, {seconds_per_cm2:.0f} s for 1 cm2 of tissue"
        return [ok(device, f"runs: {backend.name}; {speed}")]


def draw_windows(um_per_px: float) -> NDArray[np.uint8]:
    """Draw a batch of windows: (BATCH, 320, 320, 3) uint8 RGB of glands, one image repeated."""
    import numpy as np

    from glandseg.model.windows import WINDOW_PX
    from glandseg.synthetic import draw_tile

    return np.repeat(draw_tile(WINDOW_PX, um_per_px, _SEED, "glands")[0][None], BATCH, axis=0)


def measure_rate(backend: ModelBackend, windows: NDArray[np.uint8], seconds: float) -> float:
    """Run windows again and again for so many seconds, and give how many went through in one."""
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        backend.infer(windows)
        done += len(windows)
    return done / spent


def _soften(finding: Finding) -> Finding:
    return replace(finding, level="note") if finding.level == "problem" else finding
