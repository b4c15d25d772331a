"""Measurements of a gland, defined once for the table and for QuPath."""

from __future__ import annotations

import hashlib
import math
import uuid
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from glandseg.runtime.glands.store import Gland

_ROUND = 0.05  # eccentricity below which the long axis is an accident of the px
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:glandseg:gland")

# Field: name in QuPath, decimals in both files. QuPath's own "Perimeter" and "Solidity" count the edges of
# lumina and leave out their area; those here look at the outer contour alone, so their names say so. None has
# three decimals, as a spreadsheet that separates thousands by points would take 0.997 for 997.
QUANTITIES: dict[str, tuple[str, int]] = {
    "area_um2": ("Area um^2", 2),
    "area_px_l0": ("Area px", 1),
    "outer_perimeter_um": ("Outer perimeter um", 2),
    "equivalent_diameter_um": ("Equivalent diameter um", 2),
    "eccentricity": ("Eccentricity", 4),
    "filled_solidity": ("Filled solidity", 4),
    "circularity": ("Filled circularity", 4),
    "convexity": ("Convexity", 4),
    "orientation_deg": ("Orientation deg", 1),
    "wall_thickness_um": ("Wall thickness um", 2),
    "lumen_fraction": ("Lumen fraction", 4),
    "mean_probability": ("Mean probability", 4),
    "on_border": ("On border", 1),
    "nearest_centroid_um": ("Nearest centroid um", 2),
    "nearest_edge_um": ("Nearest edge um", 2),
    "tissue_piece": ("Tissue piece", 1),
    "centroid_x_um": ("Centroid X um", 2),
    "centroid_y_um": ("Centroid Y um", 2),
    "centroid_x_l0": ("Centroid X px", 2),
    "centroid_y_l0": ("Centroid Y px", 2),
}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What lies around a gland.

    Attributes:
        is_on_border: Whether part of the gland may be missing.
        nearest_centroid_px: Distance of its centroid to the nearest other one, in map px; NaN without one.
        nearest_edge_px: Distance of its contour to the nearest other one.
        tissue_piece: Number of the piece of tissue that it lies in, from 1; NaN outside of all.
    """

    is_on_border: bool = False
    nearest_centroid_px: float = math.nan
    nearest_edge_px: float = math.nan
    tissue_piece: float = math.nan


NOWHERE = Surroundings()


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Measurements of one gland; `_l0` counts level-0 pixels, `_um` micrometres from the same corner.

    Attributes:
        id: UUID of the gland, the same in every file.
        number: The gland's number on its slide, from 1.
        area_um2: Area, lumina excluded.
        area_px_l0: The same area in level-0 pixels.
        outer_perimeter_um: Length of the outer contour, without those of lumina.
        equivalent_diameter_um: Diameter of the circle of area `area_um2`.
        eccentricity: That of the ellipse with the filled contour's second moments; 0 circle, 1 line.
        filled_solidity: Area with lumina / area of the convex hull, 0..1.
        circularity: 4 pi area / perimeter^2 of the filled contour; 1 circle, less for any other shape.
        convexity: Perimeter of the convex hull / outer perimeter, 0..1; less where the contour is folded.
        orientation_deg: Angle of the long axis of that ellipse with the x axis, counter-clockwise on the
            screen, 0..180; not finite for a round gland, which has none.
        wall_thickness_um: Twice the area / length of all contours: the width of a ring of epithelium around
            a lumen, and the radius of a disc without one.
        lumen_fraction: Share of the filled contour that is unstained or a hole, 0..1.
        mean_probability: Mean p(gland), 0..1.
        on_border: 1 if it reaches the slide's edge, that of a region of interest or of a part that cannot be
            read, so that some of it may be missing; else 0.
        nearest_centroid_um: Distance of its centroid to the nearest other one; not finite without one.
        nearest_edge_um: Distance of its contour to the nearest other one, to within 2 px of the model.
        tissue_piece: Number of the piece of tissue that it lies in, from 1; not finite outside of all.
        centroid_x_um: Centroid, lumina excluded; may lie in a lumen.
        centroid_y_um: Its y.
        centroid_x_l0: Its x in level-0 pixels.
        centroid_y_l0: Its y in level-0 pixels.
    """

    id: str
    number: int
    area_um2: float
    area_px_l0: float
    outer_perimeter_um: float
    equivalent_diameter_um: float
    eccentricity: float
    filled_solidity: float
    circularity: float
    convexity: float
    orientation_deg: float
    wall_thickness_um: float
    lumen_fraction: float
    mean_probability: float
    on_border: float
    nearest_centroid_um: float
    nearest_edge_um: float
    tissue_piece: float
    centroid_x_um: float
    centroid_y_um: float
    centroid_x_l0: float
    centroid_y_l0: float

    def list_quantities(self) -> dict[str, float]:
        """Return the measurements by field, rounded; those not finite are left out."""
        values = vars(self)
        rounded = {name: round(values[name], decimals) for name, (_, decimals) in QUANTITIES.items()}
        return {name: value + 0.0 for name, value in rounded.items() if math.isfinite(value)}


def measure_gland(
    gland: Gland,
    *,
    um_per_px: float,
    l0_per_px: float,
    slide_hash: str,
    model_hash: str,
    surroundings: Surroundings = NOWHERE,
) -> Measurements:
    """Measure a gland.

    Args:
        gland: Gland, in map pixels.
        um_per_px: Micrometres per map pixel, above 0.
        l0_per_px: Level-0 pixels per map pixel, above 0.
        slide_hash: Hash of the slide, part of the gland's id.
        model_hash: Hash of the model, part of the gland's id.
        surroundings: What lies around it.
    """
    polygon, filled = gland.polygon_px, Polygon(gland.polygon_px.exterior)
    outer, hull, centroid = polygon.exterior.length, filled.convex_hull, polygon.centroid
    eccentricity, orientation_deg = _fit_ellipse(shapely.get_coordinates(filled))
    return Measurements(
        id=identify_gland(slide_hash, model_hash, polygon, l0_per_px),
        number=gland.number,
        area_um2=polygon.area * um_per_px**2,
        area_px_l0=polygon.area * l0_per_px**2,
        outer_perimeter_um=outer * um_per_px,
        equivalent_diameter_um=2 * math.sqrt(polygon.area / math.pi) * um_per_px,
        eccentricity=eccentricity,
        filled_solidity=filled.area / hull.area,
        circularity=4 * math.pi * filled.area / outer**2,
        convexity=hull.length / outer,
        orientation_deg=orientation_deg,
        wall_thickness_um=2 * polygon.area / polygon.length * um_per_px,
        lumen_fraction=gland.lumen_fraction,
        mean_probability=gland.mean_probability,
        on_border=float(surroundings.is_on_border),
        nearest_centroid_um=surroundings.nearest_centroid_px * um_per_px,
        nearest_edge_um=surroundings.nearest_edge_px * um_per_px,
        tissue_piece=surroundings.tissue_piece,
        centroid_x_um=centroid.x * um_per_px,
        centroid_y_um=centroid.y * um_per_px,
        centroid_x_l0=centroid.x * l0_per_px,
        centroid_y_l0=centroid.y * l0_per_px,
    )


def identify_gland(slide_hash: str, model_hash: str, polygon_px: Polygon, l0_per_px: float) -> str:
    """Return the UUID (version 5) of a gland, derived from its slide, model and contour.

    So a gland has the same UUID whatever part of the slide was run, and no other gland has it.
    """
    contour = hashlib.sha256(shapely.to_wkb(polygon_px, byte_order=1)).hexdigest()
    return str(uuid.uuid5(_NAMESPACE, f"{slide_hash}/{model_hash}/{l0_per_px!r}/{contour}"))


def _fit_ellipse(ring: NDArray[np.float64]) -> tuple[float, float]:
    """Return the shape of the ellipse with the second moments of the area inside a closed (N, 2) ring.

    The moments are by Green's theorem.

    Returns:
        Eccentricity, 0..1, and the angle of the long axis in degrees, 0..180; NaN where it has none.
    """
    x, y = (ring - ring.mean(axis=0)).T
    cross = x[:-1] * y[1:] - x[1:] * y[:-1]
    area = cross.sum() / 2
    if area == 0:
        return 0.0, math.nan
    mean_x, mean_y = (((v[:-1] + v[1:]) * cross).sum() / (6 * area) for v in (x, y))
    xx, yy = (((v[:-1] ** 2 + v[:-1] * v[1:] + v[1:] ** 2) * cross).sum() / (12 * area) for v in (x, y))
    products = x[:-1] * (2 * y[:-1] + y[1:]) + x[1:] * (y[:-1] + 2 * y[1:])
    xy = (products * cross).sum() / (24 * area) - mean_x * mean_y
    spread_x, spread_y = xx - mean_x**2, yy - mean_y**2
    gap = math.hypot(spread_x - spread_y, 2 * xy)
    eccentricity = math.sqrt(min(1.0, max(0.0, 2 * gap / (spread_x + spread_y + gap))))
    if eccentricity < _ROUND:
        return eccentricity, math.nan
    angle = math.degrees(math.atan2(-2 * xy, spread_x - spread_y)) / 2  # y points down on the screen
    return eccentricity, angle % 180
