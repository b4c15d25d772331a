"""TensorRT engines run through PyCUDA: copies and computing overlap, one thread owns the GPU."""
