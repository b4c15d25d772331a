"""glandseg finds glands in H&E whole-slide images. For research use only."""

__version__ = "0.1.0"

RESEARCH_USE = "For Research Use Only. Not for use in diagnostic procedures."
