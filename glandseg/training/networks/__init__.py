"""Encoders and the segmentation network on top of them."""
