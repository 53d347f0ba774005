"""Calcfunctions and jobs: thin adapters from nodes to plain functions and back."""
