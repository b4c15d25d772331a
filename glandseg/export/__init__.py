"""From a trained run to one ONNX file, and the proof that both compute the same thing."""
