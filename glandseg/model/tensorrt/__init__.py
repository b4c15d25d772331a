"""TensorRT engines: built where they run, checked before they are loaded, run through PyCUDA."""
