"""The figure of a comparison: a bar for each method's activation maps, pseudo masks and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from glandseg.training.comparison.method_table import name_method
from glandseg.training.evaluation.significance import Spread

# score: label, color (Okabe and Ito's, which the color-blind can tell apart)
BARS = {
    "cam": ("activation maps, training images", "#E69F00"),
    "pseudo_mask": ("pseudo masks, training images", "#56B4E9"),
    "miou": ("predictions, test images", "#009E73"),
}
HEIGHT = 0.27  # of a bar; a method has the room of 1


def draw_bars(path: Path, spreads: Mapping[str, Mapping[str, Spread]]) -> None:
    """Draw a PNG with horizontal bars of mIoU, with the standard deviation over seeds.

    Args:
        path: PNG file.
        spreads: Spread of each score by method, as of `list_spreads`.
    """
    figure = Figure(figsize=(8, 1.4 + 0.6 * len(spreads)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, (score, (label, color)) in enumerate(BARS.items()):
        known = [(row, each[score]) for row, each in enumerate(spreads.values()) if score in each]
        axes.barh(
            [row + (place - 1) * HEIGHT for row, _ in known],
            [spread.mean for _, spread in known],
            HEIGHT,
            xerr=[spread.deviation for _, spread in known],
            color=color,
            label=label,
        )
    axes.set_yticks(range(len(spreads)), [name_method(method) for method in spreads])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("mIoU, %")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=len(BARS), fontsize=8)
    figure.savefig(path, metadata={"Software": None})
