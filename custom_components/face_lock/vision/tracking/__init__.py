"""What links one frame to the next: tracks of faces, frames seen before, stacks of crops."""
