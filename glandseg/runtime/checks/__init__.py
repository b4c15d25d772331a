"""Outputs read back by the rules of their readers: QuPath, Bio-Formats, geopandas, OME-Zarr."""
