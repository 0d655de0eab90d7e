"""What reads the lessons is tried on the same small course as the runner."""

from tests.notebooks.conftest import course

__all__ = ["course"]
