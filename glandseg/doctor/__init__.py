"""What of this machine glandseg needs, looked at piece by piece; nothing found here stops the next look.

What may be broken is imported inside the looks that need it, so that the other looks go on without it.
"""
