"""Programs that are copied into bundles as they are: they import NumPy and ONNX Runtime, nothing of Supernaut."""
