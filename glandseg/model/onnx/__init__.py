"""ONNX Runtime, on the CPU and through CUDA."""
