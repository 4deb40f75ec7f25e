"""What is done in a task, called as Spark calls it, with rows as Spark hands them over."""

from __future__ import annotations

import json
import threading
from datetime import date, datetime, timezone
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import Row, types

from segops_durable import ConfigurationError, PendingEventsError, RefusedError, StorageError
from segops_durable.spark.place import Place
from segops_durable.spark.scratch import Scratch
from segops_durable.spark.settings import Settings
from segops_durable.spark.writers import deliver, settle
from support.spark_runs import keys_by_event, numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from segops_durable.sandbox import Sandbox
    from segops_durable.spark.letters import Delivered

SCHEMA = types.StructType(
    [
        types.StructField("user_id", types.StringType()),
        types.StructField("event_type", types.StringType()),
        types.StructField("occurred_at", types.TimestampType()),
        types.StructField("n", types.LongType()),
    ]
)
PLACE = Place("query", 7, 1)


def rows_of(*parts: range) -> list[Row]:
    return [
        Row(
            user_id=f"user-{n % 10}",
            event_type="page_viewed",
            occurred_at=datetime(2026, 1, 1, n // 3600, n % 3600 // 60, n % 60),  # noqa: DTZ001 - as Spark does
            n=n,
        )
        for part in parts
        for n in part
    ]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGOPS_API_KEY", "sk_test")


@pytest.fixture
def task(options: dict[str, str]) -> Callable[..., Delivered]:
    """Does what a task does; further options are given by name."""

    def run(rows: list[Row], place: Place = PLACE, **more: str) -> Delivered:
        settings = Settings.of({**options, "drain_timeout": "0.5", **more})
        return deliver(settings, SCHEMA, place, iter(rows))

    return run


def test_an_attempt_after_one_that_failed_goes_on_after_its_last_chunk(
    task: Callable[..., Delivered], sandbox: Sandbox
) -> None:
    sandbox.faults(status=503)
    with pytest.raises(PendingEventsError):
        task(rows_of(range(120)))
    sandbox.faults()
    task(rows_of(range(120)))
    assert numbers(sandbox) == list(range(120))
    assert sandbox.summary()["events"] == 120
    assert sandbox.summary()["conflicting_keys"] == 0


def test_rows_in_another_order_on_a_machine_without_the_scratch_have_the_same_keys(
    task: Callable[..., Delivered], sandbox: Sandbox, tmp_path: Path
) -> None:
    task(rows_of(range(120)))
    task(rows_of(range(119, -1, -1)), scratch=str(tmp_path / "another"))
    assert sandbox.summary()["repeated_keys"] == 3
    assert sandbox.summary()["conflicting_keys"] == 0
    assert {len(keys) for keys in keys_by_event(sandbox).values()} == {1}


def test_a_batch_that_is_replayed_is_not_sent_again(
    task: Callable[..., Delivered], sandbox: Sandbox
) -> None:
    first, second = (task(rows_of(range(120))) for _ in range(2))
    assert first == second
    assert first.accepted == 120
    assert len(sandbox.requests()) == 3


def test_keys_differ_by_query_batch_and_partition_even_for_the_same_rows(
    task: Callable[..., Delivered], sandbox: Sandbox
) -> None:
    for place in (PLACE, Place("other", 7, 1), Place("query", 8, 1), Place("query", 7, 2)):
        task(rows_of(range(10)), place)
    assert len({each["idempotency_key"] for each in sandbox.requests()}) == 4


def test_rows_that_are_others_at_the_next_attempt_are_sent_and_told_of(
    task: Callable[..., Delivered], sandbox: Sandbox
) -> None:
    task(rows_of(range(100)))
    told = task(rows_of(range(50), range(100, 160)))
    assert told.changed == 1
    assert numbers(sandbox) == list(range(160))
    assert sandbox.summary()["conflicting_keys"] == 0


def test_a_damaged_lane_is_made_anew_with_the_keys_that_it_had(
    task: Callable[..., Delivered], sandbox: Sandbox, options: dict[str, str], scratch: Path
) -> None:
    task(rows_of(range(120)))
    file = Scratch(scratch, options["api_url"], PLACE.query).lane(PLACE) / "outbox.db"
    file.write_bytes(b"no database" * 1000)
    task(rows_of(range(120)))
    assert sandbox.summary()["repeated_keys"] == 3
    assert {len(keys) for keys in keys_by_event(sandbox).values()} == {1}


def test_an_attempt_waits_for_one_that_still_has_the_lane(
    task: Callable[..., Delivered], sandbox: Sandbox, options: dict[str, str], scratch: Path
) -> None:
    held = Scratch(scratch, options["api_url"], PLACE.query)
    with held.held(PLACE, 1), pytest.raises(StorageError, match="another attempt still has"):
        task(rows_of(range(10)))
    assert sandbox.requests() == []
    sandbox.faults(delay=0.3)
    patience = {"drain_timeout": "60"}
    both = [
        threading.Thread(target=task, args=[rows_of(range(100))], kwargs=patience) for _ in "ab"
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert sandbox.summary()["events"] == 100


def test_the_next_batch_clears_away_what_the_ones_before_have_left(
    task: Callable[..., Delivered], options: dict[str, str], scratch: Path
) -> None:
    task(rows_of(range(10)))
    task(rows_of(range(10)), Place("query", 8, 1))
    left = Scratch(scratch, options["api_url"], PLACE.query).path
    assert [each.name for each in left.iterdir() if each.is_dir()] == ["8"]


def test_a_wrong_key_fails_at_once_and_is_in_no_error(
    task: Callable[..., Delivered], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.configure(revoked_keys=["sk_secret_1234"])
    monkeypatch.setenv("SEGOPS_API_KEY", "sk_secret_1234")
    with pytest.raises(Exception, match="401") as caught:
        task(rows_of(range(10)), drain_timeout="60")
    assert "sk_secret_1234" not in str(caught.value)
    monkeypatch.setenv("SEGOPS_API_KEY", "pk_secret_1234")
    with pytest.raises(ConfigurationError, match="must be a secret key") as refused:
        task(rows_of(range(10)))
    assert "pk_secret_1234" not in str(refused.value)


def test_the_key_may_be_in_a_file_of_the_executor(
    task: Callable[..., Delivered],
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SEGOPS_API_KEY")
    with pytest.raises(ConfigurationError, match="SEGOPS_API_KEY"):
        task(rows_of(range(10)))
    file = tmp_path / "key"
    with pytest.raises(ConfigurationError, match="FileNotFoundError"):
        task(rows_of(range(10)), api_key_file=str(file))
    file.write_text("sk_test\n", encoding="utf-8")
    task(rows_of(range(10)), api_key_file=str(file))
    assert len(sandbox.events()) == 10


def test_dead_letters_are_lines_of_json_in_one_file_however_often_it_is_repeated(
    task: Callable[..., Delivered], sandbox: Sandbox, options: dict[str, str], tmp_path: Path
) -> None:
    sandbox.configure(required={"page_viewed": ["missing"]})
    rows = [*rows_of(range(3)), Row(**{**rows_of(range(3))[0].asDict(), "user_id": None})]
    letters = tmp_path / "letters"
    settings = Settings.of({**options, "dead_letters": str(letters)})
    for _ in range(2):
        told = task(rows, dead_letters=str(letters))
        assert (told.rows, told.accepted, told.errors) == (4, 0, 4)
        settle(settings, PLACE.query, PLACE.batch, [told, None])
    (file,) = letters.iterdir()
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert file.name == "query-7.jsonl"
    assert [each["cause"] for each in lines] == ["no_event", *["refused"] * 3]
    assert "user_id" in lines[0]["reason"]
    assert lines[1]["event"]["user_id"] == "user-0"
    assert lines[1]["partition"] == 1


def test_a_commit_fails_above_max_errors_and_says_what_the_first_one_was(
    task: Callable[..., Delivered], sandbox: Sandbox, options: dict[str, str]
) -> None:
    sandbox.configure(required={"page_viewed": ["missing"]})
    told = task(rows_of(range(60)))
    assert len(told.letters) == 1  # no more than it takes
    with pytest.raises(RefusedError, match=r"60 rows of query, batch 7.*max_errors is 0.*Say dead"):
        settle(Settings.of(options), PLACE.query, PLACE.batch, [told])


def test_values_arrive_as_json_has_them(sandbox: Sandbox, options: dict[str, str]) -> None:
    inner = types.StructType([types.StructField("at", types.TimestampType())])
    schema = types.StructType(
        [
            types.StructField("uid", types.LongType()),
            types.StructField("occurred_at", types.DateType()),
            types.StructField("traits", types.StringType()),
            types.StructField("price", types.DecimalType(10, 2)),
            types.StructField("raw", types.BinaryType()),
            types.StructField("day", types.DateType()),
            types.StructField("in", types.ArrayType(inner)),
            types.StructField("by", types.MapType(types.StringType(), inner)),
            types.StructField("none", types.DoubleType()),
        ]
    )
    local = datetime(2026, 1, 1, 12).astimezone().replace(tzinfo=None)
    row = Row(
        **dict(
            zip(
                schema.fieldNames(),
                [
                    5,
                    date(2026, 1, 2),
                    '{"plan": "free"}',
                    Decimal("1.50"),
                    bytearray(b"ab"),
                    date(2026, 1, 3),
                    [Row(at=local)],
                    {"x": Row(at=local)},
                    None,
                ],
                strict=True,
            )
        )
    )
    mapped = {"type": "identify", "map.user_id": "uid", "time_zone": "Europe/Berlin"}
    settings = Settings.of({**options, **mapped})
    deliver(settings, schema, PLACE, iter([row]))
    (event,) = (each["event"] for each in sandbox.events())
    at = local.astimezone(timezone.utc).isoformat()
    assert event["user_id"] == "5"
    assert event["event_type"] == "context_identified"
    assert datetime.fromisoformat(event["occurred_at"]) == datetime(
        2026, 1, 1, 23, tzinfo=timezone.utc
    )
    assert event["payload"] == {
        "plan": "free",
        "price": 1.5,
        "raw": "YWI=",
        "day": "2026-01-03",
        "in": [{"at": at}],
        "by": {"x": {"at": at}},
        "none": None,
    }


def test_more_partitions_than_lanes_are_refused_before_any_of_theirs_is_sent(
    task: Callable[..., Delivered], sandbox: Sandbox
) -> None:
    with pytest.raises(ConfigurationError, match=r"more partitions than lanes.*partitioned\(df, 1"):
        task(rows_of(range(10)), lanes="1")
    assert sandbox.requests() == []


def test_the_requests_of_a_lane_are_spaced_from_one_task_to_the_next(
    task: Callable[..., Delivered], sandbox: Sandbox
) -> None:
    limit = {"lanes": "2", "max_requests_per_minute": "240", "drain_timeout": "30"}
    for batch in range(3):
        task(rows_of(range(100)), Place("query", batch, 1), **limit)
    times = [each["at"] for each in sandbox.requests()]
    assert len(times) == 6
    assert min(b - a for a, b in pairwise(times)) > 0.4
