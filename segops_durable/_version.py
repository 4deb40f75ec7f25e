"""The version, where both the package and its build read it."""

from __future__ import annotations

__version__ = "0.1.0"
