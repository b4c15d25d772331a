"""Weakly supervised methods: from patch labels to pseudo masks."""
