"""TensorRT engines: built from an ONNX file where they run, and checked before they are loaded."""
