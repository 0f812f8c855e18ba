"""Pixels to numbers without a network: decoding, motion, alignment, quality, pose."""
