"""Importing events from files, in a way that may be killed at any instant and run again.

A chunk of records is stored in one transaction with the place after it. The way of a file:

1. `places` finds its place in the outbox (`import_state`) by what it holds, of which `sketch` has
   some; a stream, which cannot be found so, is read again up to there (`streams`).
2. `heads` refuses what cannot be meant; `plan` says what it is taken for; what comes of both is
   `prepared`. Nothing is stored until all files have come so far.
3. `importing` stores it chunk by chunk: `making` makes the events, `rejects` writes down what is
   none. `results` says how it went. `dry_run` does the same, and stores nothing.
4. Rejects that were mended in their file, which `mend_marks` tells, are read by `mended_lines` and
   stored by `repairs`, each once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable.system.on_demand import on_demand

if TYPE_CHECKING:
    from segops_durable.intake.imports.dry_run import DryRun, Outlook
    from segops_durable.intake.imports.importing import Importer
    from segops_durable.intake.imports.mended_lines import Mended
    from segops_durable.intake.imports.prepared import Prepared
    from segops_durable.intake.imports.results import ImportResult, Progress, total_of
    from segops_durable.intake.mapping.field_map import EventKind, FieldMap
    from segops_durable.intake.mapping.times import TimeUnit
    from segops_durable.intake.mapping.values import Cast, Nan
    from segops_durable.intake.sources.dataset import open_sources, wait_until_done
    from segops_durable.intake.sources.file_options import FileOptions
    from segops_durable.intake.sources.lines import Line, bounded_lines, longest_line, pages
    from segops_durable.intake.sources.opening import FORMATS, open_source
    from segops_durable.intake.sources.remote_names import is_url, local_path, shown_url
    from segops_durable.intake.sources.source import Source
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "segops_durable.intake.imports.dry_run": "DryRun Outlook",
            "segops_durable.intake.imports.importing": "Importer",
            "segops_durable.intake.imports.mended_lines": "Mended",
            "segops_durable.intake.imports.prepared": "Prepared",
            "segops_durable.intake.imports.results": "ImportResult Progress total_of",
            "segops_durable.intake.mapping.field_map": "EventKind FieldMap",
            "segops_durable.intake.mapping.times": "TimeUnit",
            "segops_durable.intake.mapping.values": "Cast Nan",
            "segops_durable.intake.sources.dataset": "open_sources wait_until_done",
            "segops_durable.intake.sources.file_options": "FileOptions",
            "segops_durable.intake.sources.lines": "Line bounded_lines longest_line pages",
            "segops_durable.intake.sources.opening": "FORMATS open_source",
            "segops_durable.intake.sources.remote_names": "is_url local_path shown_url",
            "segops_durable.intake.sources.source": "Source",
        },
    )

__all__ = [
    "FORMATS",
    "Cast",
    "DryRun",
    "EventKind",
    "FieldMap",
    "FileOptions",
    "ImportResult",
    "Importer",
    "Line",
    "Mended",
    "Nan",
    "Outlook",
    "Prepared",
    "Progress",
    "Source",
    "TimeUnit",
    "bounded_lines",
    "is_url",
    "local_path",
    "longest_line",
    "open_source",
    "open_sources",
    "pages",
    "shown_url",
    "total_of",
    "wait_until_done",
]
