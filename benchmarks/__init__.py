"""Measurements that take longer than a test should; each writes its results, with command and machine, beside it."""
