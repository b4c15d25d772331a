"""Weakly supervised methods compared on one data set, encoder and evaluation: the papers' tables."""
