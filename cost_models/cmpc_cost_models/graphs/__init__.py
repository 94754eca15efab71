"""What does an ONNX file hold? Reading, cleaning, counting and writing graphs."""
