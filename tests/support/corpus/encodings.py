"""Text in the encodings, and behind the byte order marks, that editors and shells write."""

from __future__ import annotations

from support.corpus.case import Case, Reject, event, text_of

HEADER = "user_id,event_type,city"
KOELN, LODZ = event("ann", '{"city": "Köln"}'), event("bob", '{"city": "Łódź"}')
TEXT = text_of(HEADER, "ann,sold,Köln", "bob,sold,Łódź", end="\r\n").decode()
JSON = (
    '{"user_id": "ann", "event_type": "sold", "city": "Köln"}\r\n'
    '{"user_id": "bob", "event_type": "sold", "city": "Łódź"}\r\n'
)
BOTH = (KOELN, LODZ)

CASES = (
    Case(
        name="csv_bom.csv",
        about="'CSV UTF-8' of Excel: a byte order mark before the first name, which is quoted.",
        content=text_of('\ufeff"user_id",event_type,city', "ann,sold,Köln", end="\r\n"),
        events=(KOELN,),
    ),
    Case(
        name="csv_bom_twice.csv",
        about="Two programs that each wrote a mark: the first name is not what it looks like.",
        content=text_of(f"\ufeff\ufeff{HEADER}", "ann,sold,Köln"),
        mentions="user_id",
    ),
    Case(
        name="csv_bom_only.csv",
        about="Notepad's empty file.",
        content=b"\xef\xbb\xbf",
    ),
    Case(
        name="csv_bom_cp1252_given.csv",
        about="The file's mark says UTF-8, and --encoding something else: which is right?",
        content=text_of(f"\ufeff{HEADER}", "ann,sold,Köln"),
        arguments=("--encoding", "cp1252"),
        mentions="utf-8",
    ),
    Case(
        name="csv_latin1_unsaid.csv",
        about="Latin-1, and nobody says so: rows that are no UTF-8 are rejected, bytes kept.",
        content=text_of(HEADER, "ann,sold,Köln", "bob,sold,Bonn", encoding="latin-1"),
        events=(event("bob", '{"city": "Bonn"}'),),
        rejects=(Reject(2, 2, "UTF-8"),),
    ),
    Case(
        name="csv_latin1.csv",
        about="--encoding latin-1.",
        content=text_of(HEADER, "ann,sold,Köln", "bob,sold,Bonn", encoding="latin-1"),
        arguments=("--encoding", "latin-1"),
        events=(KOELN, event("bob", '{"city": "Bonn"}')),
    ),
    Case(
        name="csv_cp1252.csv",
        about="Windows' own: the euro sign and curly quotes, which Latin-1 has not.",
        content=text_of(HEADER, "ann,sold,5 € “net”", encoding="cp1252"),
        arguments=("--encoding", "cp1252"),
        events=(event("ann", '{"city": "5 € “net”"}'),),
    ),
    Case(
        name="csv_cp1252_hole.csv",
        about="A byte that cp1252 has no letter for costs its row.",
        content=text_of(HEADER, "ann,sold,Köln", encoding="cp1252") + b"bob,sold,\x81\n",
        arguments=("--encoding", "cp1252"),
        events=(KOELN,),
        rejects=(Reject(3, 3, "cp1252"),),
    ),
    Case(
        name="csv_utf16_le.csv",
        about="Excel's 'Unicode Text': UTF-16 with a mark, and tabs.",
        content=("\ufeff" + TEXT.replace(",", "\t")).encode("utf-16-le"),
        events=BOTH,
    ),
    Case(
        name="csv_utf16_be.csv",
        about="UTF-16 of a big-endian machine, with a mark.",
        content=("\ufeff" + TEXT).encode("utf-16-be"),
        events=BOTH,
    ),
    Case(
        name="csv_utf16_given.csv",
        about="UTF-16 without a mark: --encoding says so.",
        content=TEXT.encode("utf-16-le"),
        arguments=("--encoding", "utf-16-le"),
        events=BOTH,
    ),
    Case(
        name="csv_utf16_unsaid.csv",
        about="UTF-16 without a mark, and nobody says so: its zeros do.",
        content=TEXT.encode("utf-16-le"),
        events=BOTH,
    ),
    Case(
        name="csv_utf16_line_ends_within.csv",
        about="Letters whose UTF-16 has the bytes of a line's end or of a comma in it.",
        content=f"\ufeff{HEADER}\nann,sold,\u0a0a\u0d0d\u2c2c\u0a00\n".encode("utf-16-le"),
        events=(event("ann", '{"city": "\u0a0a\u0d0d\u2c2c\u0a00"}'),),
    ),
    Case(
        name="csv_utf16_cut.csv",
        about="UTF-16 that ends in the middle of a letter: the last row is not all there.",
        content=("\ufeff" + TEXT).encode("utf-16-le")[:-5],
        events=(KOELN,),
        status=1,
    ),
    Case(
        name="csv_utf32.csv",
        about="UTF-32 with a mark, which begins like that of UTF-16.",
        content=("\ufeff" + TEXT).encode("utf-32-le"),
        events=BOTH,
    ),
    Case(
        name="csv_shift_jis.csv",
        about="Shift JIS has letters whose second byte is a backslash or a bar.",
        content=text_of(HEADER, "ann,sold,表ポ", "bob,sold,芸能", encoding="shift_jis"),
        arguments=("--encoding", "shift_jis"),
        events=(event("ann", '{"city": "表ポ"}'), event("bob", '{"city": "芸能"}')),
    ),
    Case(
        name="csv_encoding_unknown.csv",
        about="An encoding that there is not.",
        content=text_of(HEADER, "ann,sold,Bonn"),
        arguments=("--encoding", "klingon"),
        mentions="klingon",
    ),
    Case(
        name="csv_odd_separators.csv",
        about="What Python's splitlines would break at is no end of a line.",
        content=text_of(HEADER, "ann,sold,a\u2028b\u2029c\x85d\x0be\x0cf\x1cg", "bob,sold,Łódź"),
        events=(event("ann", '{"city": "a\u2028b\u2029c\x85d\\u000be\\u000cf\\u001cg"}'), LODZ),
    ),
    Case(
        name="csv_nul.csv",
        about="A NUL within a value, of a program in C; and a hole of zeros, after a power cut.",
        content=text_of(HEADER, "ann,sold,a\0b") + bytes(700) + text_of("", "bob,sold,Łódź"),
        events=(LODZ,),
        rejects=(Reject(2, 2, "zero"), Reject(3, 3, "zero")),
    ),
    Case(
        name="jsonl_bom.jsonl",
        about="JSON Lines behind a byte order mark, as .NET writes it.",
        content=b"\xef\xbb\xbf" + JSON.encode(),
        events=BOTH,
    ),
    Case(
        name="jsonl_bom_within.jsonl",
        about="Two such files put together.",
        content=b"".join(
            b"\xef\xbb\xbf" + line.encode() for line in JSON.splitlines(keepends=True)
        ),
        events=BOTH,
    ),
    Case(
        name="jsonl_utf16.jsonl",
        about="PowerShell's > writes UTF-16 with a mark.",
        content=("\ufeff" + JSON).encode("utf-16-le"),
        events=BOTH,
    ),
    Case(
        name="jsonl_latin1.jsonl",
        about="JSON in Latin-1, which it may not be: --encoding says so.",
        content=JSON.splitlines(keepends=True)[0].encode("latin-1"),
        arguments=("--encoding", "latin-1"),
        events=(KOELN,),
    ),
    Case(
        name="jsonl_no_utf8.jsonl",
        about="A line that is no UTF-8: its bytes are kept.",
        content=JSON.encode() + b'{"user_id": "cid", "event_type": "sold", "x": "\xff"}\n',
        events=BOTH,
        rejects=(Reject(3, 3, ""),),
    ),
)
