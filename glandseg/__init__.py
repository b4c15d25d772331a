"""glandseg finds glands in H&E whole-slide images. For research use only.

`open_model` and `segment_slide` are imported when they are first used, so that the command line starts light.
"""

import warnings
from typing import TYPE_CHECKING, Any

from glandseg.core.telemetry import refuse_telemetry

__version__ = "0.1.0"

RESEARCH_USE = "For Research Use Only. Not for use in diagnostic procedures."

for _library in refuse_telemetry():
    warnings.warn(
        f"{_library} was imported before glandseg, so its telemetry is on. Import glandseg first.",
        stacklevel=2,
    )

if TYPE_CHECKING:
    from glandseg.runtime.library import open_model, segment_slide

__all__ = ["RESEARCH_USE", "__version__", "open_model", "segment_slide"]


def __getattr__(name: str) -> Any:
    if name in ("open_model", "segment_slide"):
        from glandseg.runtime import library

        return getattr(library, name)
    raise AttributeError(f"module 'glandseg' has no attribute {name!r}")
