"""Whole passes over a picture: recognising who is in it, enrolling from it, checking a camera."""
