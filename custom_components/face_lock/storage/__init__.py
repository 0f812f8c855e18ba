"""What is kept on the disk, encrypted where it tells of anybody."""
