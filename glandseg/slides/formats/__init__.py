"""One reader for each family of slide and image files."""
