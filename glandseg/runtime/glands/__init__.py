"""From a map of probabilities to glands: components, contours, measurements."""
