"""A shop that sells one thing at a time."""

from __future__ import annotations
