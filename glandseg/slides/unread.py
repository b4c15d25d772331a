"""Unread regions: the parts of a slide that could not be decoded, and why."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError

NAMESPACE = uuid.UUID("6d1f6f4e-5d0b-4a44-9a1e-0e8f5a3c7d21")
CLASSIFICATION = {"name": "Unread", "color": [200, 0, 0]}
Rectangle = tuple[int, int, int, int]  # x, y, width, height in level-0 px


@dataclass(frozen=True, order=True)
class UnreadRegion:
    """A rectangle in level-0 px that cannot be decoded, and the decoder's message."""

    y_l0: int
    x_l0: int
    height_l0: int
    width_l0: int
    reason: str

    @property
    def box_l0(self) -> shapely.Polygon:
        """The rectangle, in level-0 px."""
        return shapely.box(self.x_l0, self.y_l0, self.x_l0 + self.width_l0, self.y_l0 + self.height_l0)


class UnreadRegions:
    """Unread regions of one slide; safe for threads.

    Each is also appended to a file immediately, as a JSON line, so that a run that is killed and resumed
    knows it; an incomplete last line is dropped.

    Args:
        path: File to load and append to; None keeps them in memory only.

    Raises:
        BadInputError: The file is not a list of unread regions.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._reasons: dict[Rectangle, str] = {}
        self._places = np.empty((0, 4), np.int64)
        self._lock = threading.Lock()
        if path is not None and path.exists():
            for entry in load_entries(path):
                self._keep(entry)

    def add(self, x_l0: int, y_l0: int, width_l0: int, height_l0: int, reason: str) -> None:
        """Record a rectangle that cannot be decoded; repeats make one entry.

        Raises:
            OSError: The file cannot be written.
        """
        entry = UnreadRegion(y_l0, x_l0, height_l0, width_l0, reason)
        with self._lock:
            if self._keep(entry) and self._path is not None:
                with self._path.open("ab") as file:
                    file.write(json.dumps(asdict(entry)).encode() + b"\n")

    @property
    def entries(self) -> tuple[UnreadRegion, ...]:
        """Every rectangle once, from top to bottom and from left to right."""
        with self._lock:
            known = list(self._reasons.items())
        return tuple(sorted(UnreadRegion(y, x, height, width, why) for (x, y, width, height), why in known))

    def mask(
        self, x_px: int, y_px: int, width_px: int, height_px: int, l0_per_px: float
    ) -> NDArray[np.bool_] | None:
        """Mark the px of a plane's rectangle that touch an unread region.

        Args:
            x_px: Left edge; likewise the others.
            y_px: Top edge.
            width_px: Width.
            height_px: Height.
            l0_per_px: Level-0 px per px of the plane.

        Returns:
            (height_px, width_px) bool; None if none does.
        """
        with self._lock:
            if len(self._places) != len(self._reasons):
                self._places = np.array(list(self._reasons), np.int64)
            known = self._places
        return mark_rectangles(known, (x_px, y_px, width_px, height_px), l0_per_px)

    def measure_share(self, tissue: NDArray[np.bool_], l0_per_px: float) -> float:
        """Compute the unread share, 0..1, of an (h, w) tissue mask of `l0_per_px` level-0 px per px."""
        unread = self.mask(0, 0, tissue.shape[1], tissue.shape[0], l0_per_px)
        if unread is None or not tissue.any():
            return 0.0
        return float(np.count_nonzero(unread & tissue) / np.count_nonzero(tissue))

    def list_features(self, slide_sha256: str) -> list[dict[str, Any]]:
        """List GeoJSON features in level-0 px: a polygon for each connected area with one reason."""
        by_reason: dict[str, list[shapely.Geometry]] = {}
        for entry in self.entries:
            by_reason.setdefault(entry.reason, []).append(entry.box_l0)
        return [
            build_feature(part, reason, slide_sha256)
            for reason, boxes in sorted(by_reason.items())
            for part in shapely.get_parts(shapely.normalize(shapely.union_all(boxes)))
        ]

    def _keep(self, entry: UnreadRegion) -> bool:
        """Return whether the entry is new; of two reasons the alphabetically first is kept, in any order."""
        place = (entry.x_l0, entry.y_l0, entry.width_l0, entry.height_l0)
        known = self._reasons.get(place)
        if known is not None and known <= entry.reason:
            return False
        self._reasons[place] = entry.reason
        return True


def mark_rectangles(
    rectangles_l0: NDArray[np.int64], window_px: Rectangle, l0_per_px: float
) -> NDArray[np.bool_] | None:
    """Mark the px of a window that touch a rectangle.

    Args:
        rectangles_l0: (N, 4) int64: x, y, width, height in level-0 px.
        window_px: x, y, width, height in px of a plane.
        l0_per_px: Level-0 px per px of the plane.

    Returns:
        (height, width) bool; None if none does.
    """
    x_px, y_px, width_px, height_px = window_px
    first = np.floor(rectangles_l0[:, :2] / l0_per_px).astype(np.int64) - (x_px, y_px)
    last = np.ceil((rectangles_l0[:, :2] + rectangles_l0[:, 2:]) / l0_per_px).astype(np.int64) - (x_px, y_px)
    first, last = np.maximum(first, 0), np.minimum(last, (width_px, height_px))
    inside = (first < last).all(axis=1)
    if not inside.any():
        return None
    unread = np.zeros((height_px, width_px), np.bool_)
    for (left, top), (right, bottom) in zip(first[inside], last[inside], strict=True):
        unread[top:bottom, left:right] = True
    return unread


def load_entries(path: Path) -> list[UnreadRegion]:
    """Read a file of unread regions, and truncate an incomplete last line.

    Raises:
        BadInputError: Another line is not an entry.
    """
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    try:
        return [UnreadRegion(**json.loads(line)) for line in whole.splitlines()]
    except (ValueError, TypeError) as error:
        raise BadInputError(
            f"{path}: is not a list of unread regions ({error}). Remove it and run again."
        ) from error


def build_feature(polygon: shapely.Polygon, reason: str, slide_sha256: str) -> dict[str, Any]:
    """Build a GeoJSON feature; the same polygon of the same slide has the same id."""
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(NAMESPACE, f"{slide_sha256} {polygon.wkt} {reason}")),
        "geometry": json.loads(shapely.to_geojson(polygon)),
        "properties": {
            "objectType": "annotation",
            "classification": CLASSIFICATION,
            "metadata": {"reason": reason},
        },
    }
