"""A finding about this machine, with its level and its cure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from glandseg.core.errors import hide_host, show
from glandseg.core.system import hide_home

_MAX_CHARACTERS = 2000
Level: TypeAlias = Literal["ok", "note", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A finding of one line, without the home folder.

    Attributes:
        level: "ok", "note" (works, could be better) or "problem" (does not work).
        topic: Topic, at most two words.
        text: Fact that was found.
        cure: Action that improves it; empty if none is needed.
    """

    level: Level
    topic: str
    text: str
    cure: str = ""

    def __post_init__(self) -> None:
        """Put messages of libraries on one line, without user and host."""
        for name in ("text", "cure"):
            text = hide_host(hide_home(getattr(self, name)))
            object.__setattr__(self, name, show(text, most=_MAX_CHARACTERS))


def ok(topic: str, text: str) -> Finding:
    """Return a finding of level "ok"."""
    return Finding(level="ok", topic=topic, text=text)


def note(topic: str, text: str, cure: str = "") -> Finding:
    """Return a finding of level "note"."""
    return Finding(level="note", topic=topic, text=text, cure=cure)


def problem(topic: str, text: str, cure: str = "") -> Finding:
    """Return a finding of level "problem"."""
    return Finding(level="problem", topic=topic, text=text, cure=cure)
