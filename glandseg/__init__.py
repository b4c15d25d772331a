"""glandseg finds glands in H&E whole-slide images. For research use only."""

import warnings

from glandseg.core.telemetry import refuse_telemetry

__version__ = "0.1.0"

RESEARCH_USE = "For Research Use Only. Not for use in diagnostic procedures."

for _library in refuse_telemetry():
    warnings.warn(
        f"{_library} was imported before glandseg, so its telemetry is on. Import glandseg first.",
        stacklevel=2,
    )
