"""Text from a file made fit for a message."""

from __future__ import annotations

NAME_LETTERS = 40  # of a class in a message


def show_name(text: str, letters: int = NAME_LETTERS) -> str:
    """Return text from a file for a message: control characters become blanks, long text is cut."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return plain if len(plain) <= letters else f"{plain[:letters]}..."
