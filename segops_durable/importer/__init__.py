"""Importing events from files, in a way that may be killed at any instant and run again."""

from __future__ import annotations

from segops_durable.importer.importing import Importer, ImportResult, Progress
from segops_durable.importer.mapping import FieldMap
from segops_durable.importer.sources import FORMATS, Source, open_source

__all__ = [
    "FORMATS",
    "FieldMap",
    "ImportResult",
    "Importer",
    "Progress",
    "Source",
    "open_source",
]
