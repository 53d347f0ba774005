"""WorkChains that run FHI-aims."""
