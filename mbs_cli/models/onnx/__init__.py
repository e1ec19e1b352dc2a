"""The networks as ONNX files: built from their weights, checked against torch, and run."""
