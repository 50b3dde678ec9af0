"""Runs the notebooks and keeps their figures; no part of the package."""
