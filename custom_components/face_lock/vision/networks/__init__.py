"""The neural networks, the runtimes that execute them, and the bundle that they come in."""
