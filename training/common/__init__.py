"""What the trainings of all four networks share."""
