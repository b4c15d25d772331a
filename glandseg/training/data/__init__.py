"""Training data: images with outlines, labelled patches, annotated slides; their checks and splits."""
