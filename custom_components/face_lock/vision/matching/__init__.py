"""Whom a face resembles, and how similar is similar enough."""
