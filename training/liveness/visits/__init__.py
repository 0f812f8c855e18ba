"""Visits, real and simulated, of living people and of pictures of them, as the door sees them."""
