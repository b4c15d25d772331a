"""Encoders and decoders, named in `table`: a new network is one module and one line there."""
