"""A local SegOps, for tests of your own programs as much as for this package's.

    from segops_durable.sandbox import Sandbox

    with Sandbox() as sandbox:
        client = SegOpsClient(sandbox.url, "sk_test", queue_path=...)
        sandbox.faults(status=503, rate=0.5)
        ...
        assert sandbox.summary()["distinct_events"] == 20

It speaks the public ingestion API: both calls with validation, sessions with real JWTs,
rate limits by plan. It stores what it accepted, before it answers, in SQLite. Needs
``pip install "segops-durable[sandbox]"``.
"""

from __future__ import annotations

try:
    from segops_durable.sandbox.faults import Faults
    from segops_durable.sandbox.server import Sandbox
    from segops_durable.sandbox.sessions import HMAC_SECRET
    from segops_durable.sandbox.settings import PLANS, Settings
except ModuleNotFoundError as _error:
    if (_error.name or "").startswith("segops_durable"):
        raise
    raise ModuleNotFoundError(
        f'{_error.name} is not installed: pip install "segops-durable[sandbox]"', name=_error.name
    ) from _error

__all__ = ["HMAC_SECRET", "PLANS", "Faults", "Sandbox", "Settings"]
