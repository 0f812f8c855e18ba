"""A real Home Assistant at a simulated door: sets it up, enrols a person, plays visits."""
