"""An output that a slide's run can write: its name, its writer, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.runtime.outputs.gland_writer import GlandWriter


@dataclass(frozen=True)
class Output:
    """An output that `--write` can choose.

    Attributes:
        suffix: What the file's name ends in, after that of the slide.
        writer: Writes it.
        by_default: Whether it is written where nothing is chosen.
        px_bytes: Maximum bytes on disk per px of the plane, working files included.
        extra: Extra of the package that brings its libraries; "" where it needs none.
        libraries: Import names of these libraries.
        formats: Formats of the slides that it can be written for; empty for all.
    """

    suffix: str
    writer: GlandWriter
    by_default: bool = True
    px_bytes: int = 0
    extra: str = ""
    libraries: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()

    def list_lacking(self) -> list[str]:
        """Return the import names of its libraries that are not installed."""
        return [library for library in self.libraries if find_spec(library) is None]

    def check_libraries(self, name: str) -> None:
        """Check that its libraries are installed.

        Raises:
            EnvironmentLacksError: One is not.
        """
        if lacking := self.list_lacking():
            raise EnvironmentLacksError(
                f"--write {name}: needs {' and '.join(lacking)}, which are not part of the plain install. "
                f'Run pip install "glandseg[{self.extra}]", or leave {name} out.'
            )

    def check_format(self, name: str, slide: str, slide_format: str) -> None:
        """Check that it can be written for a slide.

        Raises:
            BadInputError: It cannot.
        """
        if self.formats and slide_format not in self.formats:
            raise BadInputError(
                f"{slide}: --write {name} needs a slide of format {' or '.join(self.formats)}, and this one "
                f"is {slide_format}. Leave {name} out."
            )
