"""CSV whose columns are not those that SegOps would take, or that are there twice."""

from __future__ import annotations

from support.corpus.case import Case, Reject, event, text_of

HEADER = "user_id,event_type,n"
BOB = event("bob", '{"n": 2}')
ROWS = ("ann,sold,1", "bob,sold,2", "cid,sold,3")

CASES = (
    Case(
        name="csv_title_line.csv",
        about="A report with a title above its header.",
        content=text_of("Sales of January,,", HEADER, *ROWS),
        mentions="user_id",
    ),
    Case(
        name="csv_no_header.csv",
        about="No header at all: the first row is none, and is not lost.",
        content=text_of(*ROWS),
        mentions="user_id",
    ),
    Case(
        name="csv_no_event_type.csv",
        about="No column for what happened.",
        content=text_of("user_id,n", "ann,1"),
        mentions="event_type",
    ),
    Case(
        name="csv_spaces_in_header.csv",
        about="A space after each comma: the column is called ' event_type'.",
        content=text_of("user_id, event_type, n", "ann, sold, 1"),
        mentions="event_type",
    ),
    Case(
        name="csv_map_to_missing.csv",
        about="A column in --map that is not there: a year of sales would have today's date.",
        content=text_of("user_id,event_type,time", "ann,sold,2026-01-31T12:00:00Z"),
        arguments=("--map", "occurred_at=tme"),
        mentions="tme",
    ),
    Case(
        name="csv_mapped.csv",
        about="Columns with names of their own, among them those that SegOps would take.",
        content=text_of("E-Mail,at,n", "ann,2026-01-31T12:00:00Z,1"),
        arguments=(
            "--map",
            "user_id=E-Mail",
            "--map",
            "occurred_at=at",
            "--const",
            "event_type=sold",
        ),
        events=(event("ann", '{"n": 1}', at="2026-01-31T12:00:00+00:00"),),
    ),
    Case(
        name="csv_one_column_twice.csv",
        about="A join that kept both columns: one of the values would be lost.",
        content=text_of("user_id,event_type,n,n", "ann,sold,1,2"),
        mentions="'n'",
    ),
    Case(
        name="csv_one_column_for_two_fields.csv",
        about="One column mapped to two fields.",
        content=text_of("id,event_type,n", "ann,sold,1"),
        arguments=("--map", "user_id=id", "--map", "anonymous_id=id"),
        mentions="'id'",
    ),
    Case(
        name="csv_two_columns_for_a_field.csv",
        about="A column that is called user_id, and another one that --map takes for it.",
        content=text_of("user_id,email,event_type", "7,ann@example.org,sold"),
        arguments=("--map", "user_id=email"),
        events=(event("ann@example.org", '{"user_id": 7}'),),
    ),
    Case(
        name="csv_map_twice.csv",
        about="One field mapped twice: the first would be forgotten.",
        content=text_of("id,email,event_type", "7,ann@example.org,sold"),
        arguments=("--map", "user_id=id", "--map", "user_id=email"),
        mentions="user_id",
    ),
    Case(
        name="csv_payload_column.csv",
        about="A column of JSON; one of its names hides a column's, and one is no object.",
        content=text_of(
            "user_id,event_type,n,payload",
            'ann,sold,1,"{""x"": 1, ""y"": [true, null]}"',
            "bob,sold,2,",
            'cid,sold,3,"{""n"": 4}"',
            "dan,sold,4,[1]",
        ),
        events=(event("ann", '{"n": 1, "x": 1, "y": [true, null]}'), BOB),
        rejects=(Reject(4, 4, "payload.n"), Reject(5, 5, "payload")),
    ),
    Case(
        name="csv_identify.csv",
        about="What is known of users.",
        content=text_of("user_id,plan,traits", 'ann,pro,"{""seats"": 3}"'),
        arguments=("--type", "identify"),
        events=(event("ann", '{"plan": "pro", "seats": 3}', kind="context_identified"),),
    ),
)
