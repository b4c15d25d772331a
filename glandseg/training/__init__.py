"""Learning glands from patch labels: classifier, pseudo masks, segmenter."""
