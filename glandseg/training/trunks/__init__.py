"""Trunks: the networks that turn an image into feature maps."""
