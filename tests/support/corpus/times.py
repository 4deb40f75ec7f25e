"""Times as they are written: with a zone and without, as numbers, and such as never were."""

from __future__ import annotations

from support.corpus.case import Case, Reject, event, text_of

HEADER = "user_id,event_type,occurred_at"


def rows(*times: str) -> bytes:
    return text_of(HEADER, *(f'ann,sold,"{each}"' for each in times))


def at(*times: str | None) -> tuple[str, ...]:
    return tuple(event("ann", at=each) for each in times)


NOON = "2026-01-31T12:00:00+00:00"

CASES = (
    Case(
        name="times_iso.csv",
        about="ISO 8601 in its dresses; every digit of a fraction stays.",
        content=rows(
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00+00:00",
            "2026-01-31 13:00:00+01:00",
            "2026-01-31T12:00Z",
            "2026-01-31t12:00:00z",
            "2026-01-31T07:00:00-0500",
            "2026-01-31T12:00:00.123456789Z",
        ),
        events=at(*[NOON] * 6, "2026-01-31T12:00:00.123456789+00:00"),
    ),
    Case(
        name="times_impossible.csv",
        about="Days and hours that there are not, and years beyond the calendar.",
        content=rows(
            "2026-02-30T12:00:00Z",
            "2026-01-31T25:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-14:00",
            "yesterday",
            "2026-01-31T12:00:00Z",
        ),
        events=at(NOON),
        rejects=tuple(Reject(n, n, "occurred_at") for n in range(2, 7)),
    ),
    Case(
        name="times_no_zone.csv",
        about="A time without a zone is not guessed.",
        content=rows("2026-01-31 12:00:00", "2026-01-31T12:00:00Z", "2026-01-31"),
        events=at(NOON),
        rejects=(Reject(2, 2, "zone"), Reject(4, 4, "occurred_at")),
    ),
    Case(
        name="times_berlin.csv",
        about="--time-zone: an hour that there was twice, and one that there was not.",
        content=rows(
            "2026-01-31 12:00:00",
            "2026-07-31T12:00:00.5",
            "2026-03-29T02:30:00",
            "2026-10-25 02:30:00",
            "2026-03-29 03:00:00",
            "2026-10-25T01:59:59",
            "2026-10-25T03:00:00",
            "2026-10-25T02:30:00+02:00",
            "2026-01-31T12:00:00Z",
        ),
        arguments=("--time-zone", "Europe/Berlin"),
        events=at(
            "2026-01-31T11:00:00+00:00",
            "2026-07-31T10:00:00.5+00:00",
            "2026-03-29T01:00:00+00:00",
            "2026-10-24T23:59:59+00:00",
            "2026-10-25T02:00:00+00:00",
            "2026-10-25T00:30:00+00:00",
            NOON,
        ),
        rejects=(Reject(4, 4, "Europe/Berlin"), Reject(5, 5, "Europe/Berlin")),
    ),
    Case(
        name="times_zone_unknown.csv",
        about="A zone that there is not.",
        content=rows("2026-01-31 12:00:00"),
        arguments=("--time-zone", "Europe/Berlni"),
        mentions="Europe/Berlni",
    ),
    Case(
        name="times_format.csv",
        about="--time-format: as people write it; what is of another form is rejected.",
        content=rows("31.01.2026 13:00", "1.2.2026 00:00", "01/31/2026 13:00", ""),
        arguments=("--time-format", "%d.%m.%Y %H:%M", "--time-zone", "Europe/Berlin"),
        events=at(NOON, "2026-01-31T23:00:00+00:00", None),
        rejects=(Reject(4, 4, "occurred_at"),),
    ),
    Case(
        name="times_format_with_zone.csv",
        about="nginx: a zone within the form.",
        content=rows("31/Jan/2026:13:00:00 +0100"),
        arguments=("--time-format", "%d/%b/%Y:%H:%M:%S %z"),
        events=at(NOON),
    ),
    Case(
        name="times_epoch.csv",
        about="Seconds, milliseconds, microseconds and nanoseconds since 1970, by their size.",
        content=rows(
            "1769860800",
            "1769860800.5",
            "1769860800000",
            "1769860800001",
            "1769860800000000",
            "1769860800000000001",
        ),
        events=at(
            NOON,
            "2026-01-31T12:00:00.5+00:00",
            NOON,
            "2026-01-31T12:00:00.001+00:00",
            NOON,
            "2026-01-31T12:00:00.000000001+00:00",
        ),
    ),
    Case(
        name="times_epoch_given.csv",
        about="--time-unit: old times, too small to be guessed.",
        content=rows("0", "86400000", "-1", "99999999999999999999"),
        arguments=("--time-unit", "ms"),
        events=at(
            "1970-01-01T00:00:00+00:00",
            "1970-01-02T00:00:00+00:00",
            "1969-12-31T23:59:59.999+00:00",
        ),
        rejects=(Reject(5, 5, "occurred_at"),),
    ),
    Case(
        name="times_excel.csv",
        about="Excel's days since 1900, and 20260131, are no seconds since 1970.",
        content=rows("46053.5", "20260131", "2026", NOON),
        events=at(NOON),
        rejects=tuple(Reject(n, n, "occurred_at") for n in range(2, 5)),
    ),
    Case(
        name="times_none.csv",
        about="An empty time is none: the event occurred at the time of the import.",
        content=text_of(HEADER, "ann,sold,", f"ann,sold,{NOON}"),
        events=at(None, NOON),
    ),
    Case(
        name="times_epoch.jsonl",
        about="The same of JSON, where they are numbers.",
        content=text_of(
            *(
                f'{{"user_id": "ann", "event_type": "sold", "occurred_at": {each}}}'
                for each in ("1769860800", "1769860800000", "1769860800.25", "true", "{}", "null")
            )
        ),
        events=at(NOON, NOON, "2026-01-31T12:00:00.25+00:00", None),
        rejects=(Reject(4, 4, "occurred_at"), Reject(5, 5, "occurred_at")),
    ),
    Case(
        name="times_cast.csv",
        about="--cast COLUMN=time: a time in the payload, in UTC.",
        content=text_of("user_id,event_type,due", "ann,sold,2026-01-31 13:00", "ann,sold,x"),
        arguments=("--cast", "due=time", "--time-zone", "Europe/Berlin"),
        events=(event("ann", f'{{"due": "{NOON}"}}'),),
        rejects=(Reject(3, 3, "due:"),),
    ),
)
