"""What `fleet.py` can be told; read before anything is installed for it."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

from fleet_simulation.scenario import Scenario, Variant

PLANS = {"free": 60, "starter": 300, "business": 1000}
"""Calls a minute of SegOps' listed plans, of the whole tenant (public documentation)."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "": 1.0}
_BATCHES = (20, 500)
_QUICK = 40
_MOST_BATCH = 500
_WHAT = """A fleet comes back from an outage, and all of it shares the calls of one plan.

Each device is a real outbox with the real code that sends it, by a clock that moves from one
wait to the next, so that hours take minutes. Shown is, for each size of a batch, with and
without jitter: how long it takes until all is delivered, how many calls come in the worst
second, and how many are told 429. The same seed gives the same table, in however many processes.
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options, and check them."""
    parser = argparse.ArgumentParser(
        prog="fleet.py",
        description=_WHAT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Status 0: every event was delivered once, whatever the figures. 1: not so.",
    )
    parser.add_argument("--devices", type=_number, default=10_000, help="(%(default)s)")
    parser.add_argument(
        "--outage", type=_seconds, default=86_400.0, metavar="24h", help="as 90m, 24h or 2d (24h)"
    )
    parser.add_argument(
        "--events-per-hour", type=_positive, default=2.0, help="that a device tracks (%(default)g)"
    )
    parser.add_argument(
        "--after",
        choices=("network", "power"),
        default="network",
        help="what was away: who had power goes on trying, the others start together (%(default)s)",
    )
    parser.add_argument(
        "--plan",
        type=_plan,
        default=PLANS["business"],
        help="free, starter, business, or calls a minute of the whole fleet (business)",
    )
    parser.add_argument(
        "--batch-size",
        type=_batch,
        nargs="+",
        default=[*_BATCHES],
        help="events in a call (20 500)",
    )
    parser.add_argument(
        "--catch-up-batch-size",
        type=_batch,
        nargs="*",
        default=[max(_BATCHES)],
        help="also, with the first batch size, and jitter as it is tried last (500)",
    )
    parser.add_argument("--jitter", choices=("on", "off", "both"), default="both", help="(both)")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=_option,
        metavar="NAME=NUMBER",
        help="another option of every client, as max_requests_per_minute=1",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a fortieth of the devices, and of the plan: the same shape",
    )
    parser.add_argument("--seed", type=int, default=2026, help="of what is drawn (%(default)s)")
    parser.add_argument("--processes", type=_number, help="(as many as it takes)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to it")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw an SVG")
    parser.add_argument(
        "--from",
        dest="given",
        type=Path,
        metavar="FILE",
        help="run nothing: show what --json has written",
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="write what the repository keeps: tools/fleet.json, the plot, the README's table",
    )
    return parser.parse_args(arguments)


def scenario_of(options: argparse.Namespace) -> Scenario:
    """What happens to the fleet."""
    found = Scenario(
        devices=options.devices,
        events=max(1, round(options.events_per_hour * options.outage / 3600.0)),
        outage=options.outage,
        limit=options.plan,
        has_power=options.after == "network",
        seed=options.seed,
    )
    if not options.quick:
        return found
    return replace(
        found, devices=max(1, found.devices // _QUICK), limit=max(1, found.limit // _QUICK)
    )


def variants_of(options: argparse.Namespace) -> list[Variant]:
    """How the clients are set up, one after the other."""
    jitters = {"on": (True,), "off": (False,), "both": (False, True)}[options.jitter]
    more = dict(options.option)
    first = options.batch_size[0]
    return [
        *(
            Variant(batch_size=size, jitter=jitter, more=more)
            for size in options.batch_size
            for jitter in jitters
        ),
        *(
            Variant(
                batch_size=first,
                jitter=jitters[-1],
                more={**more, "catch_up_batch_size": size},
            )
            for size in options.catch_up_batch_size
            if size >= first
        ),
    ]


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"must be as 90m, 24h or 2d, got {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def _plan(text: str) -> int:
    if text in PLANS:
        return PLANS[text]
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(
            f"must be {', '.join(PLANS)}, or a number above 0, got {text!r}"
        )
    return int(text)


def _batch(text: str) -> int:
    found = _number(text)
    if found > _MOST_BATCH:
        raise argparse.ArgumentTypeError(f"must be 1 to {_MOST_BATCH}, got {text!r}")
    return found


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got {text!r}")
    return int(text)


def _positive(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return found


def _option(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    return name, _number(number)
