"""Plots of a fit's log: loss, learning rate and scores by step."""

from __future__ import annotations

from pathlib import Path

from glandseg.training.loop.logs import read_rows


def draw_curves(log: Path) -> str:
    """Draw a fit's CSV log as a PNG beside it.

    Args:
        log: CSV with a `step` and other numbers by name.

    Returns:
        A line for the console: the path of the PNG, or why there is none.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return f"{log}: no curves drawn, matplotlib is not installed. Run `pip install matplotlib`."
    rows, path = read_rows(log), log.with_suffix(".png")
    names = [name for name in rows[0] if name != "step"]
    figure = Figure(figsize=(7, 1.8 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(len(names), squeeze=False)[:, 0], names, strict=True):
        axes.plot([int(row["step"]) for row in rows], [float(row[name]) for row in rows], marker=".")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    axes.set_xlabel("step")
    figure.savefig(path, dpi=100, metadata={"Software": None})
    return f"{path}: curves"
