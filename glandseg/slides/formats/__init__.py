"""Readers of slide and image files: vendor (OpenSlide), tiff, image; dicom and jpeg find damage."""
