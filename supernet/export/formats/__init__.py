"""What a model can be exported as: one file a format, and the registry of their names."""
