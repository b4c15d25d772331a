"""Checks of the devices: each runs the bundled model, and its speed is measured."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from glandseg.doctor.finding import Finding, ok
from glandseg.doctor.isolation import run_isolated
from glandseg.model.device import DEVICES, parse_device
from glandseg.model.files import BUNDLED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from glandseg.model.backend import ModelBackend

SPEED_SECONDS = 2.0
_SEED = 7
TIMEOUT_SECONDS = 300.0  # TensorRT may build an engine first


def check_devices(wanted: str, gpu: bool) -> list[Finding]:
    """Run the bundled model on each device, and measure its speed.

    Args:
        wanted: Device, as users write it; it and the CPU must run, and for others a failure is a note.
        gpu: Whether there is a GPU; without one, only the CPU and the wanted device are tried.
    """
    needed = name_needed(wanted)
    kind = parse_device(needed).kind
    tried = [needed if device == kind else device for device in DEVICES if device != "auto"]
    tried = [device for device in tried if gpu or device in ("cpu", needed)]
    found = [finding for device in tried for finding in _try_isolated(device, BUNDLED, SPEED_SECONDS)]
    return [finding if finding.topic in ("cpu", needed) else _soften(finding) for finding in found]


def name_needed(wanted: str) -> str:
    """Return the device that must run: for "auto" the CPU, else the wanted one."""
    return "cpu" if wanted == "auto" else wanted


def try_devices(model: Path) -> list[Finding]:
    """Start a model on every device, and report which run it, and why others do not."""
    return [finding for device in DEVICES if device != "auto" for finding in _try_isolated(device, model, 0)]


def _try_isolated(device: str, model: Path, seconds: float) -> list[Finding]:
    return run_isolated(device, try_device, device, str(model), str(seconds), timeout_s=TIMEOUT_SECONDS)


def try_device(device: str, model: str, seconds: str = "0") -> list[Finding]:
    """Run a model on a device, and measure its speed for `seconds`; 0 measures nothing."""
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
    """Draw a default batch of windows: (N, 320, 320, 3) uint8 RGB of glands, one image repeated."""
    import numpy as np

    from glandseg.model.backend import BATCH
    from glandseg.model.windows import WINDOW_PX
    from glandseg.synthetic import draw_tile

    return np.repeat(draw_tile(WINDOW_PX, um_per_px, _SEED, "glands")[0][None], BATCH, axis=0)


def measure_rate(backend: ModelBackend, windows: NDArray[np.uint8], seconds: float) -> float:
    """Run windows repeatedly for `seconds`, and return the windows per second."""
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        backend.infer(windows)
        done += len(windows)
    return done / spent


def _soften(finding: Finding) -> Finding:
    return replace(finding, level="note") if finding.level == "problem" else finding
