"""Servers: what a page has sold is on disk when its visitor has the answer."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.programs import answered

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox
    from support.programs import Programs

pytestmark = [pytest.mark.long, pytest.mark.one_python]

SERVERS = {
    "flask": ("flask", "--app", "flask_app", "run", "--port"),
    "flask, reloading": ("flask", "--app", "flask_app", "run", "--debug", "--port"),
    "gunicorn": ("gunicorn", "--workers", "3", "flask_app:app", "--bind"),
    "gunicorn, preloaded": ("gunicorn", "--workers", "3", "--preload", "flask_app:app", "--bind"),
    "gunicorn, threads": ("gunicorn", "--threads", "4", "flask_app:app", "--bind"),
    "uvicorn": ("uvicorn", "fastapi_app:app", "--port"),
    "uvicorn, workers": ("uvicorn", "--workers", "2", "fastapi_app:app", "--port"),
    "uwsgi": (
        *("uwsgi", "--master", "--die-on-term", "--processes", "3", "--lazy-apps"),
        *("--reload-mercy", "5", "-H", sys.prefix, "--enable-threads"),  # or it waits a minute
        *("--module", "flask_app:app", "--http-socket"),
    ),
    "uwsgi, with its hook": (
        *("uwsgi", "--master", "--die-on-term", "--processes", "3", "--enable-threads"),
        *("--reload-mercy", "5"),
        *("-H", sys.prefix, "--module", "uwsgi_app:app", "--http-socket"),
    ),
}


def articles(sandbox: Sandbox) -> list[str]:
    return sorted(row["event"]["payload"]["article"] for row in sandbox.events())


@pytest.mark.parametrize("server", SERVERS)
def test_what_a_visitor_was_told_is_sold_arrives_once(
    sandbox: Sandbox, programs: Programs, port: int, server: str
) -> None:
    takes_port = server.startswith(("flask", "uvicorn"))
    address = str(port) if takes_port else f"127.0.0.1:{port}"
    wanted = [f"a{n:02}" for n in range(30)]
    with programs.started(*SERVERS[server], address):
        for article in wanted:
            url = f"http://127.0.0.1:{port}/buy/{article}"
            assert answered(url, method="POST").json() == {"bought": article}
    with programs.started("segops-durable", "drain") as drain:
        assert drain.wait(60) == 0, programs.log
    assert articles(sandbox) == wanted
    assert sandbox.summary()["repeated_keys"] == 0


@pytest.mark.parametrize("server", ["gunicorn", "uwsgi"])
def test_a_worker_that_is_killed_takes_nothing_with_it(
    sandbox: Sandbox,
    programs: Programs,
    port: int,
    server: str,
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    sandbox.faults(status=503)
    with programs.started(*SERVERS[server], f"127.0.0.1:{port}"):
        for n in range(10):
            answered(f"http://127.0.0.1:{port}/buy/a{n}", method="POST").raise_for_status()
        killed = answered(f"http://127.0.0.1:{port}/worker").json()["pid"]
        os.kill(killed, signal.SIGKILL)
        sandbox.faults()
        answered(f"http://127.0.0.1:{port}/buy/a9x", method="POST").raise_for_status()
        wait_until(lambda: len(articles(sandbox)) >= 11)
    assert sorted(set(articles(sandbox))) == sorted([*(f"a{n}" for n in range(10)), "a9x"])
    assert sandbox.summary()["conflicting_keys"] == 0  # it may have been sending, and died


def test_eight_workers_make_no_more_requests_than_their_events_fill(
    sandbox: Sandbox, programs: Programs, port: int, wait_until: Callable[..., None]
) -> None:
    patient = replace(programs, environ={**programs.environ, "SEGOPS_FLUSH_INTERVAL": "300"})
    command = ("gunicorn", "--workers", "8", "flask_app:app", "--bind", f"127.0.0.1:{port}")
    with patient.started(*command), ThreadPoolExecutor(8) as visitors:
        urls = [f"http://127.0.0.1:{port}/buy/a{n:03}" for n in range(640)]
        for answer in visitors.map(lambda url: answered(url, method="POST"), urls):
            answer.raise_for_status()
        wait_until(lambda: len(articles(sandbox)) > 640 - 8 * 20, 90)
        requests_made, events = len(sandbox.requests()), len(articles(sandbox))
        assert requests_made <= 1.1 * events / 20 + 1  # and the one that a start makes
    with programs.started("segops-durable", "drain") as drain:
        assert drain.wait(60) == 0, programs.log
    assert articles(sandbox) == sorted(f"a{n:03}" for n in range(640))


AGAIN = """
import asyncio
from fastapi_app import app

async def main():
    for _ in range(2):  # as tests of an application do
        async with app.router.lifespan_context(app) as state:
            await state["segops"].track(user_id="u", event_type="order_placed")

asyncio.run(main())
"""


def test_an_application_may_be_started_and_ended_more_than_once(
    sandbox: Sandbox, programs: Programs
) -> None:
    with programs.started("python", "-c", AGAIN) as process:
        assert process.wait(60) == 0, programs.log
    assert len(sandbox.events()) == 2


QUIET = """
import sys
import threading
import time

from flask_app import app, segops

(sender,) = (each for each in threading.enumerate() if each.name == "segops-flusher")
while "bell" not in sys._current_frames()[sender.ident].f_code.co_filename:
    time.sleep(0.01)
"""


def test_an_application_that_uwsgi_forks_itself_is_told_what_to_do(
    programs: Programs, port: int
) -> None:
    # a child of a fork past Python that comes while a thread has the interpreter waits for ever,
    # whatever that thread does: here none does anything
    programs = replace(programs, environ={**programs.environ, "SEGOPS_FLUSH_INTERVAL": "300"})
    (programs.home / "quiet_app.py").write_text(QUIET)
    renamed = {"flask_app:app": "quiet_app:app"}
    command = [renamed.get(each, each) for each in SERVERS["uwsgi"] if each != "--lazy-apps"]
    with programs.started(*command, f"127.0.0.1:{port}"):
        assert answered(f"http://127.0.0.1:{port}/buy/a", method="POST").status_code == 500
    assert "ClosedError: the client belongs to process" in programs.log
    assert "make a SegOpsClient in the child" in programs.log
