"""What can be learned from: images with outlines, labelled patches, slides with drawn regions."""
