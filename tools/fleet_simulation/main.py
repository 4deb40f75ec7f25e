"""One variant after the other, and what came of them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import requests

from fleet_simulation import report
from fleet_simulation.device import options_of
from fleet_simulation.figures import figures_of
from fleet_simulation.groups import SimulationError
from fleet_simulation.options import parse, scenario_of, variants_of
from fleet_simulation.simulation import simulate

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run what is asked for, show it, and return the status."""
    options = parse(arguments)
    try:
        document = json.loads(options.given.read_text()) if options.given else _run(options)
    except SimulationError as error:
        print(f"VERDICT: wrong. {error}")
        return 1
    report.show(document)
    for path in (options.json, report.JSON if options.record else None):
        if path is not None:
            path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for path in (options.plot, report.PLOT if options.record else None):
        if path is not None:
            _draw(document, path)
    if options.record:
        report.write(document)
    line, status = report.verdict(document)
    print(line)
    return status


def _run(options: argparse.Namespace) -> dict[str, Any]:
    scenario, variants = scenario_of(options), variants_of(options)
    try:
        for variant in variants:
            options_of(variant, http_session=requests.Session())
    except (TypeError, ValueError) as error:
        sys.exit(f"fleet.py: error: --option: {error}")
    rows = []
    for variant in variants:
        print(f"{variant.name} …", flush=True)
        outcome = simulate(scenario, variant, processes=options.processes)
        row = figures_of(scenario, variant, outcome)
        print(f"  {row['calls']:,} calls were simulated in {row['took']:.0f} s", flush=True)
        rows.append(row)
    return report.as_document(scenario, rows)


def _draw(document: dict[str, Any], path: Path) -> None:
    from fleet_simulation.plot import draw  # noqa: PLC0415 - matplotlib is wanted for a plot alone

    draw(document, path)
