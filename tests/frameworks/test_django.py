"""Django: a client in each process, tied to the transactions of the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import requests

from support.programs import answered

if TYPE_CHECKING:
    from collections.abc import Callable

    from segops_durable.sandbox import Sandbox
    from support.programs import Programs

pytestmark = [pytest.mark.long, pytest.mark.one_python]

MANAGE = ("python", "manage.py")


@pytest.fixture
def site(programs: Programs) -> Programs:
    environ = {**programs.environ, "DEBUG": "1", "PYTHONPATH": ""}
    del environ["SEGOPS_QUEUE_PATH"]  # the settings say where it is
    site = replace(programs, home=programs.home / "django_site", environ=environ)
    for command in (("makemigrations", "shop"), ("migrate",)):
        with site.started(*MANAGE, *command) as process:
            assert process.wait(60) == 0, site.log
    return site


def worker_at(url: str) -> int | None:
    """Which process answers; None while one takes the other's place."""
    try:
        pid: int = requests.get(f"{url}/worker", timeout=30).json()["pid"]
    except requests.ConnectionError:
        return None
    return pid


def articles(sandbox: Sandbox) -> list[str]:
    return sorted(row["event"]["payload"]["article"] for row in sandbox.events())


@pytest.mark.parametrize(
    "server",
    [
        (*MANAGE, "runserver"),
        (*MANAGE, "runserver", "--noreload"),
        ("gunicorn", "--workers", "2", "site_wsgi:application", "--bind"),
    ],
    ids=["reloading", "runserver", "gunicorn"],
)
def test_an_order_that_was_committed_is_tracked_and_no_other(
    sandbox: Sandbox, site: Programs, port: int, server: tuple[str, ...]
) -> None:
    with site.started(*server, f"127.0.0.1:{port}"):
        for article in ("a", "nothing", "b"):
            answered(f"http://127.0.0.1:{port}/buy/{article}", method="POST")
    with site.started(*MANAGE, "segops", "drain") as drain:
        assert drain.wait(60) == 0, site.log
    assert articles(sandbox) == ["a", "b"]
    with closing(sqlite3.connect(site.home / "site.db")) as database:
        assert database.execute("SELECT article FROM shop_order").fetchall() == [("a",), ("b",)]


def test_a_reload_loses_nothing_and_its_watcher_opens_no_outbox(
    sandbox: Sandbox, site: Programs, port: int, wait_until: Callable[..., None]
) -> None:
    sandbox.faults(status=503)
    url = f"http://127.0.0.1:{port}"
    with site.started(*MANAGE, "runserver", f"127.0.0.1:{port}"):
        first = answered(f"{url}/worker").json()["pid"]
        answered(f"{url}/buy/before", method="POST").raise_for_status()
        urls = site.home / "shop" / "urls.py"
        urls.write_text(urls.read_text() + "\n# changed\n")
        wait_until(lambda: worker_at(url) not in {first, None}, 90)
        answered(f"{url}/buy/after", method="POST").raise_for_status()
        sandbox.faults()
        wait_until(lambda: articles(sandbox) == ["after", "before"], 90)


def test_the_command_has_the_settings_and_the_status_of_what_it_calls(site: Programs) -> None:
    with site.started(*MANAGE, "segops", "track", "ann", "page_viewed") as track:
        assert track.wait(60) == 0, site.log
    with site.started(*MANAGE, "segops", "status", "--json") as status:
        assert status.wait(60) == 0, site.log
    assert str(site.home / "outbox.db") in site.log
    with site.started(*MANAGE, "segops", "nonsense") as nonsense:
        assert nonsense.wait(60) == 2, site.log


CALLS = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
import django
django.setup()
from django.core.management import call_command
from segops_durable import InvalidEventError
from segops_durable.contrib.django import client, track_on_commit

assert client() is client()
payload = {"n": 1}
from django.db import transaction
with transaction.atomic():
    track_on_commit(user_id="u", event_type="sold", payload=payload)
    payload["n"] = 2
    try:
        track_on_commit(user_id="u", event_type="sold", payload={"n": float("nan")})
    except InvalidEventError as error:
        assert "payload.n" in str(error), error
    else:
        raise AssertionError("it was taken")
    assert client().stats().pending == 0
assert client().flush(20).ok
from django.conf import settings
from segops_durable import ConfigurationError
from segops_durable.contrib.django.current import chosen
right, settings.SEGOPS = settings.SEGOPS, None
try:
    chosen()
except ConfigurationError as error:
    assert str(error) == "SEGOPS must be a dict, got None", error
else:
    raise AssertionError("it was taken")
settings.SEGOPS = right
try:
    call_command("segops", "config")
except SystemExit as end:
    assert not end.code, end.code
"""


def test_what_is_to_be_tracked_at_the_commit_is_checked_and_taken_as_it_is_now(
    sandbox: Sandbox, site: Programs
) -> None:
    with site.started("python", "-c", CALLS) as process:
        assert process.wait(60) == 0, site.log
    assert [row["event"]["payload"] for row in sandbox.events()] == [{"n": 1}]
