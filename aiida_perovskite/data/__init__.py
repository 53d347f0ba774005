"""AiiDA Data classes: tables of compositions and checkpoints of models."""
