"""Lessons as notebooks: built from their sources, run, compared and reported."""
