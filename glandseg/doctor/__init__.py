"""The checks of this machine and of model files; a failed check does not stop the others.

Libraries that may be broken are imported inside the checks that need them.
"""
