"""Shared weights that start as a model which was trained before."""
