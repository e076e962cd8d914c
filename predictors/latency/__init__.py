"""Latency of exported files on this device: the timer, the device, and what it was compared with."""
