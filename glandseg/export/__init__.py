"""Export of a run as ONNX files, each compared with PyTorch."""
