"""A small made-up data set, so that every step runs where there are no pictures of people."""
