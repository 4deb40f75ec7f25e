"""A program for one file: ``pyinstaller --onefile kiosk.py``."""

from __future__ import annotations

import sys

from segops_durable import SegOpsClient

with SegOpsClient.from_env() as client:
    client.track(user_id="kiosk-7", event_type="page_viewed", payload={"screen": sys.argv[1]})
    print(client.flush(timeout=10).pending, "waiting")
