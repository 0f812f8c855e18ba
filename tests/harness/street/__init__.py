"""A street door for a week: who comes, what the camera sees, and who judges what the door did."""
