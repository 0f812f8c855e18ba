"""The lock that a door opens, and locking it again."""
