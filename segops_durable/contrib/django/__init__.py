"""Django: one client in each process, with its options in the settings, and a command.

    INSTALLED_APPS = [..., "segops_durable.contrib.django"]
    SEGOPS = {"api_url": "https://api.segops.ai", "queue_path": BASE_DIR / "outbox.db"}

The keys of ``SEGOPS`` are the options of `SegOpsClient`; what is not among them is taken from the
environment (``SEGOPS_API_KEY``). ``manage.py segops status`` and so on are the commands of
``segops-durable``, with these settings.
"""

from __future__ import annotations

from segops_durable.contrib.django.current import client, track_on_commit

__all__ = ["client", "track_on_commit"]
