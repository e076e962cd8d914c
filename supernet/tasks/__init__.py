"""Tasks: data, loss, metrics and an example input, one file each."""
