"""CSV with quotes that open, close, stray and hide; and values that are long."""

from __future__ import annotations

import gzip

from support.corpus.case import Case, Reject, event, text_of, times

HEADER = "user_id,event_type,note,n"
GHOST = "ghost,sold,x,0"


def row(user_id: str, number: int) -> str:
    return f"{user_id},sold,x,{number}"


def sold(user_id: str, number: int, note: str = '"x"') -> str:
    return event(user_id, f'{{"note": {note}, "n": {number}}}')


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


CASES = (
    Case(
        name="csv_quotes.csv",
        about="Quotes as RFC 4180 has them: delimiters, line ends and quotes within.",
        content=text_of(
            '"user_id","event_type","note","n"',
            '"ann","sold","a, b",1',
            'bob,sold,"two\r\nlines",2',
            'cid,sold,"he said ""no""",3',
            'dan,sold,"",4',
            'eve,sold,"""",5',
            end="\r\n",
        ),
        events=(
            sold("ann", 1, '"a, b"'),
            sold("bob", 2, '"two\\r\\nlines"'),
            sold("cid", 3, '"he said \\"no\\""'),
            sold("dan", 4, "null"),
            sold("eve", 5, '"\\""'),
        ),
    ),
    Case(
        name="csv_quote_within.csv",
        about="Inches: a quote within a value that has none around it is a letter like others.",
        content=text_of(HEADER, 'ann,sold,5" pipe,1', 'bob,sold,6",2', row("cid", 3)),
        events=(sold("ann", 1, '"5\\" pipe"'), sold("bob", 2, '"6\\""'), sold("cid", 3)),
    ),
    Case(
        name="csv_quote_never_closed.csv",
        about="A value that begins with a stray quote: it costs its line, not the rest.",
        content=text_of(
            HEADER, row("ann", 1), 'bob,sold,"5 inch,2', *(row(f"u{n}", n) for n in range(9))
        ),
        events=(sold("ann", 1), *(sold(f"u{n}", n) for n in range(9))),
        rejects=(Reject(3, 3, "quote"),),
    ),
    Case(
        name="csv_quote_closed_by_another.csv",
        about="A stray quote that a good one, lines later, would close.",
        content=text_of(
            HEADER,
            row("ann", 1),
            'bob,sold,"5 inch,2',
            row("cid", 3),
            'dan,sold,"a, b",4',
            row("eve", 5),
        ),
        events=(sold("ann", 1), sold("cid", 3), sold("dan", 4, '"a, b"'), sold("eve", 5)),
        rejects=(Reject(3, 3, "no CSV"),),
    ),
    Case(
        name="csv_quote_twice_never_closed.csv",
        about="Stray quotes in two lines that follow each other, and one in the last line.",
        content=text_of(HEADER, 'ann,sold,"x,1', 'bob,sold,"x,2', row("cid", 3), 'dan,sold,"x,4'),
        events=(sold("cid", 3),),
        rejects=(Reject(2, 2, "no CSV"), Reject(3, 3, "no CSV"), Reject(5, 5, "no CSV")),
    ),
    Case(
        name="csv_quote_within_bound.csv",
        about="The same value is one where the bound is as many lines.",
        content=text_of(HEADER, 'ann,sold,"a', "b", 'c",1', row("bob", 2)),
        arguments=("--max-record-lines", "3"),
        events=(sold("ann", 1, '"a\\nb\\nc"'), sold("bob", 2)),
    ),
    Case(
        name="csv_quote_many_lines.csv.gz",
        about="A quote that never closes, in the middle of 5,000 rows: all others are there.",
        content=packed(
            text_of(
                HEADER,
                *(row("u", 0) for _ in range(20)),
                'bad,sold,"x,0',
                *(row("u", 0) for _ in range(5000)),
                row("end", 1),
            )
        ),
        events=(times(5020, sold("u", 0)), sold("end", 1)),
        rejects=(Reject(22, 22, "quote"),),
        is_binary=True,
    ),
    Case(
        name="csv_quote_far.csv.gz",
        about="Two stray quotes, 3,000 rows apart, that make a good value of all between them.",
        content=packed(
            text_of(
                HEADER,
                'ann,sold,"5 inch,1',
                *(row("u", 0) for _ in range(3000)),
                'bob,sold,6",2',
                row("end", 1),
            )
        ),
        events=(times(3000, sold("u", 0)), sold("bob", 2, '"6\\""'), sold("end", 1)),
        rejects=(Reject(2, 2, "1000"),),
        is_binary=True,
    ),
    Case(
        name="csv_wrong_count_over_lines.csv",
        about="A record over three lines with a value too few: the range of its lines is told.",
        content=text_of(HEADER, 'ann,sold,"a', "b", 'c"', row("bob", 2)),
        events=(sold("bob", 2),),
        rejects=(Reject(2, 4, "3 columns"),),
    ),
    Case(
        name="csv_backslash_quotes.csv",
        about="MySQL escapes quotes with backslashes: that is no CSV, and not guessed.",
        content=text_of(HEADER, 'ann,sold,"a \\"b\\" c",1', row("bob", 2)),
        events=(sold("bob", 2),),
        rejects=(Reject(2, 2, "no CSV"),),
    ),
    Case(
        name="csv_text_after_quote.csv",
        about='Text after the closing quote, as in "so"ld.',
        content=text_of(HEADER, 'ann,"so"ld,x,1', 'bob,"sold" ,x,2', row("cid", 3)),
        events=(sold("cid", 3),),
        rejects=(Reject(2, 2, "no CSV"), Reject(3, 3, "no CSV")),
    ),
    Case(
        name="csv_single_quotes.csv",
        about="--quote: another sign than the usual one; that one is a letter.",
        content=text_of(HEADER, "ann,sold,'a, b',1", "bob,sold,'it''s 5\"',2", 'cid,sold,"x",3'),
        arguments=("--quote", "'"),
        events=(
            sold("ann", 1, '"a, b"'),
            sold("bob", 2, '"it\'s 5\\""'),
            sold("cid", 3, '"\\"x\\""'),
        ),
    ),
    Case(
        name="csv_header_over_lines.csv",
        about="Excel: Alt-Enter in a heading.",
        content=text_of('user_id,event_type,"net\nprice"', "ann,sold,1"),
        events=(event("ann", '{"net\\nprice": 1}'),),
    ),
    Case(
        name="csv_long_value.csv.gz",
        about="A value of 140,000 characters, more than Python's csv takes.",
        content=packed(text_of(HEADER, f'ann,sold,"{"x" * 140_000}",1', row("bob", 2))),
        events=(sold("ann", 1, '{"$text": ["x", 140000]}'), sold("bob", 2)),
        is_binary=True,
    ),
    Case(
        name="csv_long_value_of_rows.csv.gz",
        about="A long value whose lines look like rows: no event comes of its inside.",
        content=packed(
            text_of(
                HEADER,
                'ann,sold,"' + "".join(f"{GHOST}{'y' * 200}\n" for _ in range(900)) + '",1',
                row("bob", 2),
            )
        ),
        events=(
            sold("ann", 1, '{"$text": ["' + GHOST + "y" * 200 + '\\n", 900]}'),
            sold("bob", 2),
        ),
        is_binary=True,
    ),
    Case(
        name="csv_long_unquoted_value.csv.gz",
        about="A long value without quotes.",
        content=packed(text_of(HEADER, f"ann,sold,{'x' * 140_000},1", row("bob", 2))),
        events=(sold("ann", 1, '{"$text": ["x", 140000]}'), sold("bob", 2)),
        is_binary=True,
    ),
    Case(
        name="csv_value_too_long.csv.gz",
        about="A value that no event may have is one bad record, though it has 700 lines.",
        content=packed(
            text_of(HEADER, 'ann,sold,"' + (GHOST * 30 + "\n") * 700 + '",1', row("bob", 2))
        ),
        events=(sold("bob", 2),),
        rejects=(Reject(2, 702, "262144"),),
        is_binary=True,
    ),
)
