"""One annotated object, its class as QuPath and others write it, and its description for messages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glandseg.core.errors import show
from glandseg.runtime.annotations.geometry import Geometry


@dataclass(frozen=True, eq=False, kw_only=True)
class Annotation:
    """One object of a GeoJSON file.

    Attributes:
        number: Position in the file, from 1.
        names: Name of its class, then those of the classes derived from it; empty without a class.
        is_cell: Whether it is one detected cell rather than a region.
        geometry: Its geometry; None if the file has none.
    """

    number: int
    names: tuple[str, ...]
    is_cell: bool
    geometry: Geometry | None

    @property
    def is_ignored(self) -> bool:
        """Whether its class is QuPath's Ignore*, which marks areas to leave out."""
        return any(name.lower().strip(" *") in ("ignore", "ignored") for name in self.names)

    @property
    def label(self) -> str:
        """The class as messages show it: printable and short."""
        return show(": ".join(self.names)) or "none"


def count_classes(annotations: Iterable[Annotation]) -> str:
    """Return the number of annotations of each class, most frequent first, as text for a message."""
    counts = Counter(annotation.label for annotation in annotations).most_common()
    more = f" and {len(counts) - 5} classes more" if len(counts) > 5 else ""
    named = ", ".join(
        f"{count} of class {label}" if label != "none" else f"{count} without class"
        for label, count in counts[:5]
    )
    return named + more


def list_plane_notes(annotations: Iterable[Annotation]) -> list[str]:
    """Return a note if annotations lie on several planes of a stack, as only one plane is read."""
    planes = {annotation.geometry.plane for annotation in annotations if annotation.geometry is not None}
    if len(planes) < 2:
        return []
    shown = ", ".join(f"z {z} t {t}" for z, t in sorted(planes)[:5])
    return [f"regions lie on several planes ({shown}): all of them count on the one plane that is read"]


def read_names(classification: Any) -> tuple[str, ...]:
    """Return the names of a class and of those derived from it; empty without a class.

    QuPath up to 0.3 writes derived classes as "name": "Gland: Dysplasia", from 0.4 on as "names": ["Gland",
    "Dysplasia"]; other software writes the name alone, or the object as text.
    """
    if isinstance(classification, str) and classification.lstrip().startswith("{"):
        try:
            classification = json.loads(classification)
        except (ValueError, RecursionError):
            return (classification,)
    if isinstance(classification, Mapping):
        names = classification.get("names")
        classification = names if isinstance(names, list) and names else classification.get("name")
    if isinstance(classification, str):
        classification = classification.split(":")
    return _strip_names(classification) if isinstance(classification, list) else ()


def _strip_names(names: Sequence[Any]) -> tuple[str, ...]:
    return tuple(name.strip() for name in names if isinstance(name, str) and name.strip())
