"""Numbers and units of length as programs write them: decimal commas, micron, \u00b5m read as Latin-1."""

from __future__ import annotations

import math

UM_PER_UNIT = {
    **dict.fromkeys(("um", "µm", "μm", "Âµm", "\\u00B5m", "\\u00b5m"), 1.0),
    **dict.fromkeys(("micron", "microns", "micrometer", "micrometre", "micrometers", "micrometres"), 1.0),
    **{"pm": 1e-6, "å": 1e-4, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6},
    **dict.fromkeys(("in", "inch", "inches"), 25_400.0),
}
NO_UNITS = ("", "pixel", "pixels", "px")


def find_um(unit: str) -> float | None:
    """Return a unit of length in um; None where it is unknown."""
    return UM_PER_UNIT.get(unit.strip(), UM_PER_UNIT.get(unit.strip().lower()))


def parse_number(text: str | None) -> float | None:
    """Parse a number with a decimal point or comma; return None for anything else."""
    stated = text or ""
    try:
        number = float(stated.replace(",", ".") if stated.count(",") == 1 and "." not in stated else stated)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
