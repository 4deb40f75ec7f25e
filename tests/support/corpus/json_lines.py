"""JSON Lines, and what is taken for it: logs, dumps, documents, sequences."""

from __future__ import annotations

from support.corpus.case import Case, Reject, event, text_of


def line(user_id: str, more: str = "") -> str:
    return f'{{"user_id": "{user_id}", "event_type": "sold"{more}}}'


ANN, BOB = line("ann", ', "n": 1'), line("bob", ', "n": 2')
BOTH = (event("ann", '{"n": 1}'), event("bob", '{"n": 2}'))

CASES = (
    Case(
        name="jsonl_plain.jsonl",
        about="Nothing is odd; payload, and what stands beside it.",
        content=text_of(
            '{"user_id":"ann","event_type":"sold","occurred_at":"2026-01-31T12:00:00Z",'
            '"payload":{"n":1,"deep":{"a":[1,"x",null,true]}},"beside":1.5}'
        ),
        events=(
            event(
                "ann",
                '{"beside": 1.5, "n": 1, "deep": {"a": [1, "x", null, true]}}',
                at="2026-01-31T12:00:00+00:00",
            ),
        ),
    ),
    Case(
        name="jsonl_blank_lines.jsonl",
        about="Blank lines, spaces, and CR LF.",
        content=text_of("", ANN, "   ", BOB, "\t", end="\r\n"),
        events=BOTH,
    ),
    Case(
        name="jsonl_no_last_end.jsonl",
        about="The last line is whole, and has no end.",
        content=text_of(ANN, BOB)[:-1],
        events=BOTH,
    ),
    Case(
        name="jsonl_being_written.jsonl",
        about="The last line is being written: it waits for the next run, and status is 1.",
        content=text_of(ANN, BOB)[:-9],
        events=BOTH[:1],
        status=1,
    ),
    Case(
        name="jsonl_garbage.jsonl",
        about="A log with other things in it: each costs its line.",
        content=text_of(
            ANN,
            "2026-01-31 12:00:00 INFO started",
            "null",
            "[]",
            "5",
            '"text"',
            "{",
            ANN + BOB,
            f"{ANN},",
            f"\x1e{ANN}",
            "}",
            BOB,
        ),
        events=BOTH,
        rejects=tuple(Reject(n, n) for n in range(2, 12)),
    ),
    Case(
        name="jsonl_no_user_id.jsonl",
        about="No record has a user_id: it is the mapping that is wrong.",
        content=text_of('{"uid": "ann", "event_type": "sold"}', '{"uid": "b", "event_type": "x"}'),
        mentions="user_id",
    ),
    Case(
        name="jsonl_map_to_missing.jsonl",
        about="A column in --map that no record has.",
        content=text_of(ANN, BOB),
        arguments=("--map", "occurred_at=tme"),
        mentions="tme",
    ),
    Case(
        name="jsonl_some_without_user.jsonl",
        about="Some records without a user, or with one that is no text.",
        content=text_of(
            ANN,
            '{"event_type": "sold", "n": 3}',
            *(f'{{"user_id": {v}, "event_type": "sold"}}' for v in ("null", '""', "true", "[]")),
            BOB,
        ),
        events=BOTH,
        rejects=tuple(Reject(n, n, "user_id") for n in range(2, 7)),
    ),
    Case(
        name="jsonl_user_numbers.jsonl",
        about="Identifiers that are numbers: integers are taken as their text.",
        content=text_of(
            *(
                f'{{"user_id": {v}, "event_type": "sold"}}'
                for v in ("17", "9007199254740993", "12345678901234567890123", "1.5")
            )
        ),
        events=(event("17"), event("9007199254740993"), event("12345678901234567890123")),
        rejects=(Reject(4, 4, "user_id"),),
    ),
    Case(
        name="jsonl_numbers.jsonl",
        about="Numbers that a double would change stay what they are.",
        content=text_of(
            *(
                line("u", f', "v": {v}')
                for v in (
                    "9007199254740993",
                    "12345678901234567890",
                    "-9223372036854775809",
                    "12345678901234567890123456789012345678.5",
                    "0.1234567890123456789012345678901234567",
                    "3.10",
                    "-1.5e3",
                )
            )
        ),
        events=tuple(
            event("u", f'{{"v": {v}}}')
            for v in (
                "9007199254740993",
                "12345678901234567890",
                "-9223372036854775809",
                '"12345678901234567890123456789012345678.5"',
                '"0.1234567890123456789012345678901234567"',
                "3.1",
                "-1500.0",
            )
        ),
    ),
    Case(
        name="jsonl_no_numbers.jsonl",
        about="Python writes NaN and Infinity, which JSON has not.",
        content=text_of(*(line("u", f', "v": {v}') for v in ("NaN", "-Infinity", "1")), ANN),
        events=(event("u", '{"v": 1}'), BOTH[0]),
        rejects=(Reject(1, 1), Reject(2, 2)),
    ),
    Case(
        name="jsonl_lone_surrogate.jsonl",
        about="Half a letter, as JavaScript cuts texts.",
        content=text_of(ANN, line("u", ', "v": "\\ud83d"'), line("u", ', "v": "\\ud83d\\ude00"')),
        events=(BOTH[0], event("u", '{"v": "😀"}')),
        rejects=(Reject(2, 2),),
    ),
    Case(
        name="jsonl_payload_hides.jsonl",
        about="payload.x and x: one of the two would be lost.",
        content=text_of(
            ANN,
            line("u", ', "payload": {"x": 1}, "x": 2'),
            line("u", ', "payload": [1]'),
            line("u", ', "payload": "{\\"x\\": 1}"'),
        ),
        events=(BOTH[0], event("u", '{"x": 1}')),
        rejects=(Reject(2, 2, "payload.x"), Reject(3, 3, "payload")),
    ),
    Case(
        name="jsonl_visitors.jsonl",
        about="anonymous_id is a field of the event, not of its payload.",
        content=text_of(line("ann", ', "anonymous_id": "v-1", "n": 1'), BOB),
        events=(event("ann", '{"n": 1}', anonymous_id="v-1"), BOTH[1]),
    ),
    Case(
        name="jsonl_mongo.jsonl",
        about="mongoexport: extended JSON stays what it is.",
        content=text_of(
            '{"_id":{"$oid":"65b"},"user_id":"ann","event_type":"sold",'
            '"n":{"$numberLong":"9007199254740993"}}'
        ),
        events=(
            event("ann", '{"_id": {"$oid": "65b"}, "n": {"$numberLong": "9007199254740993"}}'),
        ),
    ),
    Case(
        name="jsonl_zeros.jsonl",
        about="A hole of zeros after a power cut, and an event that was written behind it.",
        content=text_of(ANN) + bytes(3000) + text_of(ANN) + bytes(50) + b"\n" + text_of(BOB),
        events=BOTH,
        rejects=(Reject(2, 2), Reject(3, 3)),
    ),
    Case(
        name="jsonl_kafka.jsonl",
        about="kcat -K: a key, a tab and the value are no JSON: nothing is read of it.",
        content=text_of(*(f"key-{n}\t{ANN}" for n in range(3))),
        mentions="JSON",
    ),
    Case(
        name="jsonl_bad_first.jsonl",
        about="A banner of a program, and then the events: each line of it costs its line.",
        content=text_of("Welcome to 2.1", "reading …", ANN, BOB),
        events=BOTH,
        rejects=(Reject(1, 1), Reject(2, 2)),
    ),
    Case(
        name="json_array.json",
        about="A document that is one array, on one line.",
        content=f"[{ANN}, {BOB}]\n".encode(),
        mentions="array",
    ),
    Case(
        name="json_array_lines.json",
        about="mongoexport --jsonArray, phpMyAdmin: an array with an element a line.",
        content=text_of("[", f"{ANN},", BOB, "]"),
        mentions="array",
    ),
    Case(
        name="json_pretty.json",
        about="One object over many lines.",
        content=text_of("{", '  "user_id": "ann",', '  "event_type": "sold"', "}"),
        mentions="JSON",
    ),
    Case(
        name="json_one.json",
        about="One object on one line is JSON Lines, too.",
        content=ANN.encode(),
        events=BOTH[:1],
    ),
    Case(
        name="jsonl_empty.jsonl",
        about="Nothing yet.",
        content=b"",
    ),
    Case(
        name="jsonl_identify.jsonl",
        about="Traits, and what stands beside them.",
        content=text_of('{"user_id": "ann", "traits": {"seats": 3}, "plan": "pro"}'),
        arguments=("--type", "identify"),
        events=(event("ann", '{"plan": "pro", "seats": 3}', kind="context_identified"),),
    ),
    Case(
        name="jsonl_of_streams.jsonl",
        about="Standard input without a --job.",
        content=text_of(ANN, "bad", BOB),
        events=BOTH,
        rejects=(Reject(2, 2),),
        is_stdin=True,
    ),
)
