"""CSV as spreadsheets, databases and scripts lay it out: lines, delimiters, columns, headers."""

from __future__ import annotations

from support.corpus.case import Case, Reject, event, text_of

HEADER = "user_id,event_type,n"
ANN, BOB, CID = (
    event("ann", '{"n": 1}'),
    event("bob", '{"n": 2}'),
    event("cid", '{"n": 3}'),
)
ROWS = ("ann,sold,1", "bob,sold,2", "cid,sold,3")
THREE = (ANN, BOB, CID)

CASES = (
    Case(
        name="csv_plain.csv",
        about="Nothing is odd: numbers, truth, nothing, and text.",
        content=text_of(
            "user_id,event_type,occurred_at,n,price,paid,note",
            "ann,sold,2026-01-31T12:00:00Z,1,9.5,true,",
            "bob,sold,2026-01-31T13:00:00+01:00,-2,0.25,FALSE,two words",
        ),
        events=(
            event(
                "ann",
                '{"n": 1, "price": 9.5, "paid": true, "note": null}',
                at="2026-01-31T12:00:00+00:00",
            ),
            event(
                "bob",
                '{"n": -2, "price": 0.25, "paid": false, "note": "two words"}',
                at="2026-01-31T12:00:00+00:00",
            ),
        ),
    ),
    Case(
        name="csv_crlf.csv",
        about="Windows: lines end with CR LF, and no value holds a CR.",
        content=text_of(HEADER, *ROWS, end="\r\n"),
        events=THREE,
    ),
    Case(
        name="csv_cr_only.csv",
        about="Excel for Mac, 'CSV (Macintosh)': lines end with CR alone.",
        content=text_of(HEADER, *ROWS, end="\r"),
        events=THREE,
    ),
    Case(
        name="csv_mixed_ends.csv",
        about="Files of two machines put together: some lines end with CR LF, some with LF.",
        content=text_of(HEADER, ROWS[0], end="\r\n") + text_of(ROWS[1]) + b"cid,sold,3\r\n",
        events=THREE,
    ),
    Case(
        name="csv_no_last_end.csv",
        about="The last line has no end, as many programs write it; CSV has no mark for more.",
        content=text_of(HEADER, *ROWS)[:-1],
        events=THREE,
    ),
    Case(
        name="csv_cr_no_last_end.csv",
        about="CR alone, and none after the last line.",
        content=text_of(HEADER, *ROWS, end="\r")[:-1],
        events=THREE,
    ),
    Case(
        name="csv_blank_lines.csv",
        about="Blank lines at the start, between the rows and at the end are no records.",
        content=text_of("", HEADER, "", ROWS[0], "", "", ROWS[1], "", ROWS[2], "", ""),
        events=THREE,
    ),
    Case(
        name="csv_cleared_rows.csv",
        about="Excel keeps rows that were cleared: delimiters alone are a record without a user.",
        content=text_of(HEADER, ROWS[0], ",,", ROWS[1], ",,"),
        events=(ANN, BOB),
        rejects=(Reject(3, 3, "user_id"), Reject(5, 5, "user_id")),
    ),
    Case(
        name="csv_header_only.csv",
        about="A report of a day without sales.",
        content=text_of(HEADER),
    ),
    Case(name="csv_empty.csv", about="A file that is about to be written.", content=b""),
    Case(
        name="csv_semicolons_excel.csv",
        about="Excel where the comma is the decimal sign: BOM, semicolons, CR LF, and 1,50.",
        content=text_of(
            "\ufeffuser_id;event_type;price;city",
            "ann;sold;1,50;Köln",
            'bob;sold;2;"a;b"',
            end="\r\n",
        ),
        events=(
            event("ann", '{"price": "1,50", "city": "Köln"}'),
            event("bob", '{"price": 2, "city": "a;b"}'),
        ),
    ),
    Case(
        name="csv_sep_line_excel.csv",
        about="Excel's own first line, which names the delimiter, is no header.",
        content=text_of("sep=;", "user_id;event_type;n", "ann;sold;1", "bob;sold;2", end="\r\n"),
        events=(ANN, BOB),
    ),
    Case(
        name="csv_tabs.csv",
        about="SAP and Excel's 'Text': tabs, in a file that is called .csv.",
        content=text_of("user_id\tevent_type\tn\tnote", "ann\tsold\t1\ta,b", "bob\tsold\t2\t"),
        events=(
            event("ann", '{"n": 1, "note": "a,b"}'),
            event("bob", '{"n": 2, "note": null}'),
        ),
    ),
    Case(
        name="csv_pipes.csv",
        about="Mainframes and bulk loaders: a bar between the values, commas within.",
        content=text_of("user_id|event_type|n|note", "ann|sold|1|a, b; c", "bob|sold|2|"),
        events=(
            event("ann", '{"n": 1, "note": "a, b; c"}'),
            event("bob", '{"n": 2, "note": null}'),
        ),
    ),
    Case(
        name="csv_delimiter_given.csv",
        about="Hive's default, Ctrl-A, is nothing to guess: --delimiter says it.",
        content=text_of("user_id\x01event_type\x01n", "ann\x01sold\x011", "bob\x01sold\x012"),
        arguments=("--delimiter", "\x01"),
        events=(ANN, BOB),
    ),
    Case(
        name="csv_delimiter_in_names.csv",
        about="A header whose names have commas, in a file of semicolons.",
        content=text_of('user_id;event_type;"price, net, EUR"', "ann;sold;1", "bob;sold;2"),
        events=(event("ann", '{"price, net, EUR": 1}'), event("bob", '{"price, net, EUR": 2}')),
    ),
    Case(
        name="tsv_postgres_copy.tsv",
        about="COPY … (FORMAT text, HEADER): \\N and backslashes stay what they are.",
        content=text_of(
            "user_id\tevent_type\tn\tnote", "ann\tsold\t1\t\\N", "bob\tsold\t2\tC:\\temp\\new"
        ),
        events=(
            event("ann", '{"n": 1, "note": "\\\\N"}'),
            event("bob", '{"n": 2, "note": "C:\\\\temp\\\\new"}'),
        ),
    ),
    Case(
        name="csv_trailing_columns.csv",
        about="A spreadsheet with empty columns at its right: they have no name and no value.",
        content=text_of(f"{HEADER},,", "ann,sold,1,,", "bob,sold,2,,", "cid,sold,3,,stray"),
        events=(ANN, BOB),
        rejects=(Reject(4, 4, "column"),),
    ),
    Case(
        name="csv_trailing_delimiters.csv",
        about="A script that ends each row, but not the header, with a delimiter.",
        content=text_of(HEADER, "ann,sold,1,", "bob,sold,2,,", "cid,sold,3,stray"),
        events=(ANN, BOB),
        rejects=(Reject(4, 4, "columns"),),
    ),
    Case(
        name="csv_trailing_delimiter_of_header.csv",
        about="The other way round: the header ends with a delimiter, the rows do not.",
        content=text_of(f"{HEADER},", *ROWS),
        events=THREE,
    ),
    Case(
        name="csv_short_rows.csv",
        about="Rows with too few values, e.g. where a disk was full: nobody knows which.",
        content=text_of(HEADER, ROWS[0], "bob,sold", "cid", "dan,sold,4,5"),
        events=(ANN,),
        rejects=(
            Reject(3, 3, "2 columns"),
            Reject(4, 4, "1 column"),
            Reject(5, 5, "4 columns"),
        ),
    ),
    Case(
        name="csv_repeated_header.csv",
        about="cat monday.csv tuesday.csv: the second header is no event.",
        content=text_of(HEADER, ROWS[0], HEADER, ROWS[1], HEADER, ROWS[2]),
        events=THREE,
    ),
    Case(
        name="csv_repeated_header_bom.csv",
        about="The same, of files that begin with a BOM, and with quotes around the names.",
        content=text_of(
            f"\ufeff{HEADER}",
            ROWS[0],
            f"\ufeff{HEADER}",
            ROWS[1],
            '\ufeff"user_id","event_type","n"',
            ROWS[2],
            end="\r\n",
        ),
        events=THREE,
    ),
    Case(
        name="csv_other_header_within.csv",
        about="Files put together whose columns differ in order: the names are no event.",
        content=text_of(HEADER, ROWS[0], "event_type,user_id,n", "bob,sold,2"),
        events=(ANN, BOB),
        rejects=(Reject(3, 3, "header"),),
    ),
    Case(
        name="csv_footer_psql.csv",
        about="psql's footer, and a line of totals, are no events.",
        content=text_of(HEADER, ROWS[0], ROWS[1], "(2 rows)"),
        events=(ANN, BOB),
        rejects=(Reject(4, 4, "1 column"),),
    ),
    Case(
        name="csv_of_streams.csv",
        about="zcat | import -: the same from standard input.",
        content=text_of(HEADER, *ROWS),
        arguments=("--format", "csv", "--job", "j"),
        events=THREE,
        is_stdin=True,
    ),
)
