"""A server with the page of a client, and a real browser to look at it with."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from starlette.applications import Starlette

from segops_durable.page import Page
from segops_durable.watching import outbox_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segops_durable import SegOpsClient
    from segops_durable.page import View

TOKEN = "a token that nobody guesses"


class _Server(uvicorn.Server):
    def __init__(self, page: Page) -> None:
        app = Starlette(routes=page.routes())
        super().__init__(
            uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=5)
        )
        self.page = page
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.page.end()
        await super().shutdown(sockets)


@contextmanager
def served(page: Page) -> Iterator[str]:
    """A server with a page; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = _Server(page)
        thread = threading.Thread(target=server.run, args=([listener],), name="page")
        thread.start()
        try:
            assert server.ready.wait(30)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def page_of(client: SegOpsClient, **options: Any) -> Iterator[str]:
    """The page of a client; its URL."""
    with served(outbox_page(client, token=TOKEN, host="127.0.0.1", **options)) as url:
        yield url


@contextmanager
def page_of_view(view: View, **options: Any) -> Iterator[str]:
    """The page of anything else; its URL."""
    with served(Page(view, kind="sandbox", host="127.0.0.1", **options)) as url:
        yield url


def browser(profile: Path, *, width: int = 1280, height: int = 900, is_dark: bool = False) -> Any:
    """A headless Chromium; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for each in (
        "--headless=new",
        "--no-sandbox",  # as root, in a container
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        f"--user-data-dir={profile}",
        f"--window-size={width},{height}",
    ):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver, env={**os.environ, "HOME": str(profile)})
    found = webdriver.Chrome(options=options, service=service)
    if is_dark:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        found.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    return found


def read_stream(lines: Iterator[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream, by name and with what they say."""
    name = ""
    for line in lines:
        if line.startswith(b"event: "):
            name = line[7:].decode().strip()
        elif line.startswith(b"data: "):
            yield name, json.loads(line[6:])
