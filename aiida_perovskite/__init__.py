"""Screening, interpretation and design of double perovskites with AiiDA provenance."""

__version__ = "0.1.0"
