"""Whether a slide looks like those that the model learned from: a distance, and a limit that it may not pass.

The reference lies beside the model file, NAME.scope.json: the mean and covariance of the appearance of the
training images' windows. A slide's distance, in standard deviations, is that which a quarter of its windows
stay below, for much tissue of any slide holds no gland. The limit is what one in a hundred training images
passes; twice that for blur, which counts in one direction only, for training blurs images itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.model.files import find_name
from glandseg.runtime.tissue.appearance import SHARPNESS, STAIN

SCOPE_SUFFIX = ".scope.json"
LIMIT_PERCENT, BLUR_FACTOR = 99, 2.0
QUARTER_PERCENT = 25
_RIDGE = 1e-5  # variance added to each number, for numbers that move together


@dataclass(frozen=True, kw_only=True)
class Distance:
    """How far a slide looks from those that the model learned from, in standard deviations.

    Attributes:
        stain: Distance of its hues.
        blur: How much less sharp it is; negative for sharper.
        stain_limit: What one in a hundred training images passes.
        blur_limit: Its limit for blur.
        windows: Number of windows looked at.
    """

    stain: float
    blur: float
    stain_limit: float
    blur_limit: float
    windows: int

    def list_warnings(self) -> tuple[str, ...]:
        """Return a warning for each limit that is passed."""
        warnings = []
        if self.stain > self.stain_limit:
            warnings.append(
                f"colors unlike those that the model learned from (distance {self.stain:.1f}, limit "
                f"{self.stain_limit:.1f}): another stain, pen or false colors; do not rely on the outlines"
            )
        if self.blur > self.blur_limit:
            warnings.append(
                f"less sharp than what the model learned from (distance {self.blur:.1f}, limit "
                f"{self.blur_limit:.1f}): out of focus or enlarged; do not rely on the outlines"
            )
        return tuple(warnings)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Appearance of the images that a model learned from.

    Attributes:
        mean: Means of the numbers of `measure_appearance`.
        precision: Inverse of the covariance of those that describe the stain.
        deviation: Standard deviation of the sharpness.
        stain_limit: Distance of the stain that one in a hundred of the images passes.
        blur_limit: The limit for blur.
        images: Number of images.
        source: What the images are.
    """

    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    deviation: float
    stain_limit: float
    blur_limit: float
    images: int
    source: str

    def measure(self, appearances: NDArray[np.float64]) -> Distance:
        """Compute the distance of a slide.

        Args:
            appearances: (N, 8) float64, one row a window, N at least 1.
        """
        return Distance(
            stain=round(self._measure_stain(appearances), 3),
            blur=round(self._measure_blur(appearances), 3),
            stain_limit=self.stain_limit,
            blur_limit=self.blur_limit,
            windows=len(appearances),
        )

    def _measure_stain(self, appearances: NDArray[np.float64]) -> float:
        off = appearances[:, STAIN] - np.array(self.mean)[STAIN]
        squares = np.einsum("ni,ij,nj->n", off, np.array(self.precision), off) / off.shape[1]
        return float(np.percentile(np.sqrt(np.maximum(squares, 0)), QUARTER_PERCENT))

    def _measure_blur(self, appearances: NDArray[np.float64]) -> float:
        blur = (self.mean[SHARPNESS] - appearances[:, SHARPNESS]) / self.deviation
        return float(np.percentile(blur, QUARTER_PERCENT))


def fit_scope(images: Sequence[NDArray[np.float64]], source: str) -> Scope:
    """Compute the scope of a model from the appearances of its training images.

    Args:
        images: For each image, (N, 8) float64, one row a window.
        source: What the images are.
    """
    windows = np.concatenate(images)
    covariance = np.cov(windows[:, STAIN].T) + _RIDGE * np.eye(STAIN.stop)
    scope = Scope(
        mean=tuple(windows.mean(axis=0).tolist()),
        precision=tuple(map(tuple, np.linalg.inv(covariance).tolist())),
        deviation=float(windows[:, SHARPNESS].std()),
        stain_limit=np.inf,
        blur_limit=np.inf,
        images=len(images),
        source=source,
    )
    distances = [scope.measure(image) for image in images]
    stain = np.percentile([distance.stain for distance in distances], LIMIT_PERCENT)
    blur = BLUR_FACTOR * np.percentile([distance.blur for distance in distances], LIMIT_PERCENT)
    return replace(scope, stain_limit=round(float(stain), 3), blur_limit=round(float(blur), 3))


def find_scope(model: Path) -> Path:
    """Return the path of a model file's scope, which need not exist: NAME.scope.json for NAME.fp16.onnx."""
    return model.with_name(find_name(model) + SCOPE_SUFFIX)


def read_scope(model: Path) -> Scope | None:
    """Read the scope beside a model file; None where there is none.

    Raises:
        BadInputError: It is damaged.
    """
    path = find_scope(model)
    if not path.is_file():
        return None
    try:
        scope = Scope(**json.loads(path.read_text(encoding="utf-8")))
        scope.measure(np.array([scope.mean], np.float64))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise BadInputError(
            f"{path}: damaged ({error}). Install the model again, or remove the file."
        ) from None
    return scope


def write_scope(scope: Scope, model: Path) -> None:
    """Write the scope beside a model file."""
    text = json.dumps(asdict(scope), indent=1)
    find_scope(model).write_text(text + "\n", encoding="utf-8")
