"""The verifier, which tells whether two faces are the same person's."""
