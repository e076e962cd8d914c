"""Checks of a family before any study of it: its structure, joined with costs and exports."""
