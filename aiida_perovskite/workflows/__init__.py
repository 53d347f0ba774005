"""WorkChains: the funnel, its steps, and the protocols that hold their numbers."""
