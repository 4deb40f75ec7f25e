"""The page at ``/`` of a server of this machine: how things stand, as they change.

It knows nothing of what it shows: a `View` says that. Needs starlette, of the extra ``sandbox``.
"""

from __future__ import annotations

from segops_durable.page.glance import Glance, Letter, Letters, Line, Point, View
from segops_durable.page.local_only import LocalOnly
from segops_durable.page.page import Page
from segops_durable.page.showing import READ_BYTES, Shown, cut, shown_event

__all__ = [
    "READ_BYTES",
    "Glance",
    "Letter",
    "Letters",
    "Line",
    "LocalOnly",
    "Page",
    "Point",
    "Shown",
    "View",
    "cut",
    "shown_event",
]
