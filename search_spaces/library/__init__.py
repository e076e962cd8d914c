"""The families that Supernaut brings: one file each, listed here."""

from __future__ import annotations

from search_spaces.library import convnet, vision_transformer

FAMILIES = (
    convnet.FAMILY,
    vision_transformer.FAMILY,
)

__all__ = ["FAMILIES"]
