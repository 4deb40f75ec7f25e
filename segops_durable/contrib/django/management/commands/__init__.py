"""The commands of ``manage.py``, each called as its file."""

from __future__ import annotations
