"""Many evaluations at once: executors, and the Ray that they run on. Importing this package imports no Ray."""
