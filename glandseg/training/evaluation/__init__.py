"""Scores of a model on a data set with outlines."""
