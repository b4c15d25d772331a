"""The suggested regions as GeoJSON: squares for QuPath, the least certain first."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glandseg import RESEARCH_USE
from glandseg.runtime.maps.uncertainty import Suggestion
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn

SUGGESTIONS_SUFFIX = ".suggested.geojson"
_CLASS = {"name": "Region*", "color": (230, 159, 0)}  # QuPath's own class for a region to look at
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:glandseg:suggestion")


@contextmanager
def write_suggestions(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write the suggested regions of a slide as annotations of class Region*, named by rank."""
    yield lambda gland, _: None
    features = [_build_feature(rank, each, found) for rank, each in enumerate(found.suggestions, 1)]
    collection = {
        "type": "FeatureCollection",
        "metadata": {"Research use": RESEARCH_USE, **found.metadata},
        "features": features,
    }
    path.write_text(json.dumps(collection, ensure_ascii=False) + "\n", encoding="utf-8")


def _build_feature(rank: int, region: Suggestion, found: SlideGlands) -> dict[str, Any]:
    left, top = region.left_l0, region.top_l0
    right, bottom = round(left + region.width_l0, 2), round(top + region.height_l0, 2)
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, f"{found.slide_sha256}/{found.model_sha256}/{ring}")),
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "objectType": "annotation",
            "name": f"Suggestion {rank}",
            "classification": _CLASS,
            "measurements": {"Mean uncertainty": region.uncertainty},
        },
    }
