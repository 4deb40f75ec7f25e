"""What several tests are made with."""

from __future__ import annotations
