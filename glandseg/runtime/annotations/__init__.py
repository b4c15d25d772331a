"""Annotations that people draw on slides, read from the GeoJSON that QuPath and others export."""
