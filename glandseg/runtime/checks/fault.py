"""What is wrong with an output, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A fault of a file.

    Attributes:
        place: Where it is: a feature, a line, a page or a key.
        text: What is wrong, as the end of a sentence on that place.
    """

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place} {self.text}"
