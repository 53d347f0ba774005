"""WorkChains that run GPAW."""
