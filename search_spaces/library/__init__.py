"""The families that Supernaut brings: one file each, listed here."""

from __future__ import annotations

from search_spaces.library import causal_lm, convnet, tdnn, text_encoder, vision_transformer

FAMILIES = (
    causal_lm.FAMILY,
    convnet.FAMILY,
    tdnn.FAMILY,
    text_encoder.FAMILY,
    vision_transformer.FAMILY,
)

__all__ = ["FAMILIES"]
