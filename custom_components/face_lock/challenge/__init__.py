"""Putting a question to whoever stands at the door."""
