"""The one way in which a person is enrolled."""
