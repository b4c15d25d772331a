"""One thing found out about this machine: fine, worth knowing, or in the way; with its cure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from glandseg.core.errors import hide_host, show
from glandseg.core.system import hide_home

_LONGEST = 2000  # characters of a finding
Level: TypeAlias = Literal["ok", "note", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing found out, a line long, without home folder.

    Attributes:
        level: "ok", "note" (works, could be better) or "problem" (does not work).
        topic: what it is about, two words at most.
        text: what was found.
        cure: what to do about it; empty where nothing need be done.
    """

    level: Level
    topic: str
    text: str
    cure: str = ""

    def __post_init__(self) -> None:
        """Bring what libraries said onto one line that may be shown to strangers."""
        for name in ("text", "cure"):
            text = hide_host(hide_home(getattr(self, name)))
            object.__setattr__(self, name, show(text, most=_LONGEST))


def ok(topic: str, text: str) -> Finding:
    """Give a finding that needs nothing."""
    return Finding(level="ok", topic=topic, text=text)


def note(topic: str, text: str, cure: str = "") -> Finding:
    """Give a finding worth knowing."""
    return Finding(level="note", topic=topic, text=text, cure=cure)


def problem(topic: str, text: str, cure: str = "") -> Finding:
    """Give a finding that stands in the way."""
    return Finding(level="problem", topic=topic, text=text, cure=cure)
