from __future__ import annotations

from typing import TYPE_CHECKING

from segops_durable import FieldMap, SegOpsClient

if TYPE_CHECKING:
    from pathlib import Path

    from segops_durable.sandbox import Sandbox


def test_each_row_that_spark_wrote_as_parquet_is_imported_once(
    parquet: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "outbox.db"
    with SegOpsClient(sandbox.url, "sk_test", queue_path=path, batch_size=500) as client:
        assert client.import_events(parquet, field_map=FieldMap(time_zone="UTC")).stored == 1000
        client.flush().raise_for_pending()
    sent = sorted(each["payload"]["n"] for each in (event["event"] for event in sandbox.events()))
    assert sent == list(range(1000))
