"""The public interface as a user writes it; mypy strict checks it, nothing runs it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import segops_durable as segops
from segops_durable.aio import AsyncSegOpsClient
from segops_durable.kafka import ConsumeResult, OnGap, Start, consume
from segops_durable.otel import instrument
from segops_durable.testing import Events, MemoryClient

if TYPE_CHECKING:
    import threading


def server() -> None:
    with segops.SegOpsClient(
        "https://api.segops.ai",
        "sk_live_0",
        batch_size=100,
        durability="normal",
        max_queue_events=1_000_000,
        overflow="drop_oldest",
        catch_up_batch_size=500,
        newest_share=0.2,
        max_age=86_400,
        on_error=lambda error: print(error.hint),
    ) as client:
        client.track(user_id="u", event_type="e", occurred_at=datetime.now(timezone.utc))
        client.track(segops.Event("u", "e", payload={"a": [1, None]}, priority="high"))
        client.track({"user_id": "u", "event_type": "e"})
        stored: int = client.track_many([segops.Event("u", "e"), {"user_id": "u"}])
        client.identify(segops.Context("u", {"plan": "pro", "seats": stored}))
        result: segops.FlushResult = client.flush(timeout=1.5)
        result.raise_for_pending()
        state: segops.State = client.stats().state
        print(state.value, client.stats().last_error)


def device() -> None:
    signed = segops.sign_user_id("00", "u")
    client = segops.SegOpsClient(
        "https://api.segops.ai",
        "pk_live_0",
        get_user=lambda: segops.UserContext(
            user_id=signed["user_id"],
            user_id_sig=signed["user_id_sig"],
            user_id_ts=signed["user_id_ts"],
        ),
        user_context_for=lambda user_id: segops.UserContext(user_id) if user_id else None,
    )
    client.reset()
    erased: int = client.forget(client.anonymous_id)
    held: int | None = client.stats().held.get("u")
    is_right: bool = segops.verify_user_id("00", **signed)
    print(erased, held, is_right)
    client.close()


def operations(client: segops.SegOpsClient) -> None:
    client.set_api_key("sk_live_1")
    for letter in client.dead_letters():
        if letter.cause is segops.Cause.REFUSED and letter.event is not None:
            print(letter.id, letter.event["event_type"], letter.status, letter.answer)
    count: int = client.retry_dead_letters() + client.retry_dead_letters([1, 2])
    count += client.discard_dead_letters(range(3, 5))
    retry_at = client.stats().retry_at
    if retry_at is not None:
        print(retry_at.isoformat(), count)


def job(client: segops.SegOpsClient) -> None:
    done: int = client.checkpoint("orders") or 0
    client.track_many([segops.Event("u", "e")], checkpoint=("orders", done + 1))
    columns = segops.FieldMap(columns={"user_id": "email"}, constants={"event_type": "sold"})
    result: segops.ImportResult = client.import_events("sales.csv.gz", field_map=columns)
    print(result.stored, result.rejected, result.stored_before)


def several_files(client: segops.SegOpsClient, files: list[str], *, is_late: bool) -> None:
    unit: segops.TimeUnit = "ms"
    kind: segops.EventKind = "track"
    nan: segops.Nan = "reject"
    casts: dict[str, segops.Cast] = {"total": "number"}
    columns = segops.FieldMap(kind=kind, time_unit=unit, nan=nan, casts=casts)
    importer: segops.Importer = client.importer(columns, max_errors=10)
    sources: list[segops.Source] = []
    for file in files:
        sources += segops.open_sources(file, "csv", segops.FileOptions(encoding="latin-1"))
    prepared: list[segops.Prepared] = [
        importer.prepare(each, is_restart=is_late) for each in sources
    ]
    for each in prepared:
        print(each.plan, importer.run(each, on_progress=show).stored)
    client.import_rejected("sales.csv.rejects.jsonl", field_map=columns, on_bad=tell)


def from_kafka(client: segops.SegOpsClient, stop: threading.Event) -> None:
    start: Start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    on_gap: OnGap = "skip"
    result: ConsumeResult = consume(
        client,
        ["clicks", "orders"],
        config={"bootstrap.servers": "broker:9092"},
        to_event=lambda message: {"user_id": "u", "payload": {"offset": message.offset()}},
        on_reject=lambda message, reason: print(message.key(), reason),
        share=(0, 3),
        start=start,
        on_gap=on_gap,
        stop=stop,
        on_progress=lambda so_far: print(so_far.stored),
    )
    print(result.messages, result.lost, result.positions["clicks", 0])


def show(progress: segops.Progress) -> None:
    print(progress.consumed, progress.size, progress.stored, progress.rejected)


def tell(record: segops.Mended, reason: str) -> None:
    print(record.file, record.line, reason)


def kept_options(durability: segops.Durability, overflow: segops.Overflow) -> segops.SegOpsClient:
    options = segops.Options(
        api_url="https://api.segops.ai",
        api_key="sk_live_0",
        durability=durability,
        overflow=overflow,
    )
    return segops.SegOpsClient.of(options)


def report(error: segops.SegOpsError) -> None:
    if isinstance(error, segops.DeliveryError):
        print(error.batch_size, error.attempts, error.status, error.retry_at, error.events)


def environment() -> None:
    client = segops.SegOpsClient.from_env(batch_size=1)
    try:
        client.track(user_id="u", event_type="e")
    except segops.InvalidEventError as error:
        print(error.field, error.value)
    except segops.QueueFullError as error:
        print(error.path, client.stats().dropped_total, client.stats().lost_total)
    except (segops.StorageError, segops.ClosedError) as error:
        print(error.hint)


async def tasks(options: segops.Options) -> None:
    async with AsyncSegOpsClient(
        "https://api.segops.ai", "sk_live_0", overflow="block", on_error=report
    ) as client:
        await client.track(user_id="u", event_type="e", occurred_at=datetime.now(timezone.utc))
        await client.track(segops.Event("u", "e", payload={"a": [1, None]}))
        stored: int = await client.track_many([{"user_id": "u"}], checkpoint=("orders", 1))
        await client.identify(segops.Context("u", {"seats": stored}))
        result: segops.FlushResult = await client.flush(timeout=1.5)
        result.raise_for_pending()
        stats: segops.Stats = await client.stats()
        visitor: str = await client.anonymous_id()
        async for letter in client.dead_letters():
            print(letter.id, letter.status, stats.pending, visitor)
        imported: segops.ImportResult = await client.import_events("sales.csv", on_progress=show)
        print(imported.stored)
    other: AsyncSegOpsClient = AsyncSegOpsClient.of(options)
    await other.start()
    try:
        await other.shutdown()
    except segops.WrongLoopError as error:
        print(error.hint)


def measured(client: segops.SegOpsClient, other: AsyncSegOpsClient) -> None:
    instrument(client, trace=True)
    instrument(other, meter_provider=None, tracer_provider=None)


def tested() -> None:
    client: segops.SegOpsClient = MemoryClient("https://api.segops.ai", "sk_test", batch_size=5)
    with MemoryClient.from_env(overflow="block") as other:
        print(other.flush().ok, client)
    memory = MemoryClient("https://api.segops.ai", "sk_test")
    events: Events = memory.events.by_type("order_placed").by_user("u")
    first: str = events.wait_for(1, timeout=2.5)[0]["user_id"]
    print(first, events[1:], events.payloads, events == [segops.Event("u", "order_placed")])
