"""Commands that run lessons are tried on the same small course as the runner."""

from tests.notebooks.conftest import course

__all__ = ["course"]
