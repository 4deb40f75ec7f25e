"""Measures, prints, and keeps or shows what was found before; what it does `options` says."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _history
from rich.console import Console

from speed import readme
from speed.growth import Growth
from speed.isolation import JobFailedError, prepare
from speed.machine import describe, on_disk
from speed.measuring import Bench, Size
from speed.options import parse
from speed.report import as_document, print_tables, write_json

if TYPE_CHECKING:
    import argparse

QUICK = Size(rounds=3, events=300, lines=30_000, waiting=100_000, steady=4)
SMOKE = Size(rounds=1, events=40, lines=300, waiting=300, offline=1, steady=0.3)


def main(arguments: list[str]) -> int:
    """Measure, print, and keep or show what was found before."""
    options, parser = parse(arguments)
    if options.compare is not None:
        try:
            print(_history.table(options.compare))
        except OSError as error:
            parser.error(f"no history to compare: {error}; --save makes one")
        return 0
    if options.given is not None:
        document = json.loads(options.given.read_text(encoding="utf-8"))
    else:
        try:
            document = measure(options)
        except JobFailedError as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
    print_tables(document, Console(width=None if sys.stdout.isatty() else 140))
    _keep(document, options)
    return 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure as the options say; return all that was found.

    Raises:
        JobFailedError: A contender did not do its work.
    """
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - start:6.0f} s  {text}", file=sys.stderr, flush=True)

    size = SMOKE if options.smoke else QUICK if options.quick else Size()
    given = {name: getattr(options, name) for name in ("rounds", "events", "lines")}
    size = replace(size, **{name: number for name, number in given.items() if number is not None})
    with tempfile.TemporaryDirectory(prefix="segops-bench-") as directory:
        has_slow_syncs = prepare(Path(directory))
        place = options.directory or on_disk()
        machine = describe(place)
        bench = Bench(size, place, say, has_slow_syncs=has_slow_syncs)
        try:
            bench.run()
        finally:
            bench.close()
        growth = Growth(place, say, is_quick=options.quick, is_tiny=options.smoke)
        curves = growth.run()
    return as_document(machine, bench.rows, bench.contenders, curves)


def _keep(document: dict[str, Any], options: argparse.Namespace) -> None:
    if options.record:
        options.json, options.plot = readme.JSON, readme.PLOT
    if options.json is not None:
        write_json(document, options.json)
    if options.plot is not None:
        from speed.plot import draw  # noqa: PLC0415 - matplotlib is in the extra bench

        draw(document, options.plot)
    if options.record:
        readme.write(document)
    if options.save is not None:
        found = {row["name"]: row["median"] for row in document["rows"]}
        _history.save(
            {name: median for name, median in found.items() if median is not None}, options.save
        )
