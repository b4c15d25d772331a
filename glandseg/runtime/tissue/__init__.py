"""Tissue of a slide: background, artifacts, lumina, regions of interest."""
