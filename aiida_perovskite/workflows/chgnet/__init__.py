"""WorkChains that run CHGNet."""
