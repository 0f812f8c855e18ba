"""Who may come in, and the way from a decision to the record of the visit."""
