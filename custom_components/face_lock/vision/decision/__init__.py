"""From what was seen to one decision per visit, and from a grant to a door known to be open."""
