"""The tables of an outbox file: their columns, and the statements that are made of those.

Nowhere else are all columns of a table listed, but for the order in which `salvage` finds them
on a page, and where a record is given names in Python. `FORMAT.md` says what each is. At the
end is what makes each version of the tables out of the one before.
"""

from __future__ import annotations

QUEUE = "queue_outbox"
"""The table that persist-queue makes: its `queue_` prefix and our queue's name."""

LETTERS = "dead_letters"


def _marks(columns: tuple[str, ...]) -> str:
    return ", ".join("?" * len(columns))


# Waiting events

ROW = ("data", "timestamp", "crc", "identity", "uptime", "boot")
"""The columns of a row, behind its id, in the order of `rows.NewRow`."""

SELECT_ROWS = f"SELECT _id, {', '.join(ROW)} FROM {QUEUE}"
"""What a row is read by: `rows.Row` has this order."""


COLUMNS_READ = ("_id", *(each for each in ROW if each != "identity"))
"""The columns of rows of one identity, in the order of `columns.Rows`."""


def _next_id(table: str, given: str, known: str = "0") -> str:
    """The id that follows all that were ever given: those that are there, and those removed."""
    return (
        f"max({known}, coalesce((SELECT max(_id) FROM {table}), 0),"
        f" coalesce((SELECT {given} FROM tally), 0)) + 1"
    )


_NEXT_ROW, NEXT_LETTER = _next_id(QUEUE, "last_id"), _next_id(LETTERS, "last_letter")

INSERT_ROW = f"INSERT INTO {QUEUE} (_id, {', '.join(ROW)}) VALUES ({_NEXT_ROW}, {_marks(ROW)})"
INSERT_ROW_AFTER = INSERT_ROW.replace(_NEXT_ROW, _next_id(QUEUE, "last_id", "?"))
"""The same, after an id that is known to have been given."""
MORE_ROWS = f", (NULL, {_marks(ROW)})"
"""What each further row adds to it; SQLite gives it the id after the largest that is there."""

INSERT_NEXT = f"INSERT INTO {QUEUE} ({', '.join(ROW)}) VALUES ({_marks(ROW)})"
"""A row behind one that was inserted in the same transaction, and has the largest id."""
MORE_NEXT = f", ({_marks(ROW)})"
"""What each further row adds to it."""

UNTIMED = ROW[:-2]
"""The columns of a row that says itself when it occurred: the other clock stays NULL."""

INSERT_NEXT_UNTIMED = f"INSERT INTO {QUEUE} ({', '.join(UNTIMED)}) VALUES ({_marks(UNTIMED)})"
MORE_NEXT_UNTIMED = f", ({_marks(UNTIMED)})"

INSERT_ROW_AS = (
    f"INSERT OR IGNORE INTO {QUEUE} (_id, {', '.join(ROW)})"
    f" VALUES (coalesce(?, {_NEXT_ROW}), {_marks(ROW)})"
)
"""With the id that it had, unless another has it by now; NULL for a new one."""

# All other records

SEALED: dict[str, tuple[str, ...]] = {
    "meta": ("name", "value"),
    "tally": (
        "removed",
        "accepted",
        "dropped",
        "lost",
        "last_accepted_at",
        "last_id",
        "last_letter",
    ),
    "in_flight": ("first_id", "last_id", "row_count", "identity", "batch_key", "assigned"),
    LETTERS: (
        "row_id",
        "data",
        "identity",
        "tracked_at",
        "died_at",
        "cause",
        "reason",
        "status",
        "answer",
    ),
    "checkpoints": ("name", "position", "at"),
    "carried": ("source", "first_id", "last_id"),
}
"""The columns that each table's seal is of. A letter's number is not: it names it, no more."""

COLUMNS = {table: ", ".join((*columns, "seal")) for table, columns in SEALED.items()}
"""What a record is read by: its columns, and the seal as the last."""

SELECT = {table: f"SELECT {columns} FROM {table}" for table, columns in COLUMNS.items()}

PUT = {
    table: f"INSERT OR REPLACE INTO {table} ({COLUMNS[table]})"
    f" VALUES ({_marks((*columns, 'seal'))})"
    for table, columns in SEALED.items()
    if table != "tally"  # it is one record, with a number: see `tally`
}
PUT[LETTERS] = (
    f"INSERT INTO {LETTERS} (_id, {COLUMNS[LETTERS]})"
    f" VALUES ({NEXT_LETTER}, {_marks((*SEALED[LETTERS], 'seal'))})"
)
"""What writes a record; one of the same name is replaced. A letter has none, and is added."""

SELECT_LETTERS = f"SELECT _id, {COLUMNS[LETTERS]} FROM {LETTERS}"
"""Dead letters with their numbers."""

SHAPE = tuple(f"{each} LIMIT 0" for each in (SELECT_ROWS, *SELECT.values(), SELECT_LETTERS))
"""What fails to compile where the schema is damaged."""

IS_FREE = """_id > coalesce((
    SELECT last_id FROM in_flight
    WHERE first_id <= row._id AND in_flight.identity = row.identity
    ORDER BY first_id DESC LIMIT 1
), 0)"""
"""Whether a `row` of the queue is in no batch."""

CREATE_QUEUE = (
    "CREATE TABLE IF NOT EXISTS {table_name} ("
    "{key_column} INTEGER PRIMARY KEY, "  # AUTOINCREMENT would write a second page each time
    "data BLOB NOT NULL, timestamp FLOAT NOT NULL, "
    "crc INTEGER NOT NULL, identity TEXT NOT NULL)"
)
"""The queue's table, as persist-queue makes it; `UPGRADES` adds to it."""

_FIRST_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tally (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    removed INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL DEFAULT 0,
    last_accepted_at REAL
);
INSERT OR IGNORE INTO tally (id) VALUES (1);
CREATE TABLE IF NOT EXISTS in_flight (
    first_id INTEGER PRIMARY KEY,
    last_id INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    identity TEXT NOT NULL,
    batch_key TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS dead_letters (
    _id INTEGER PRIMARY KEY,
    row_id INTEGER NOT NULL,
    data BLOB NOT NULL,
    identity TEXT NOT NULL,
    tracked_at REAL NOT NULL,
    died_at REAL NOT NULL,
    reason TEXT NOT NULL,
    status INTEGER,
    answer TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS {QUEUE}_identity ON {QUEUE} (identity, _id) WHERE identity <> '';
"""
_WITH_CAUSES = """
ALTER TABLE dead_letters ADD COLUMN cause TEXT NOT NULL DEFAULT 'skipped';
UPDATE dead_letters SET cause = 'damaged' WHERE status IS NULL;
"""

_WITH_DROPS = "ALTER TABLE tally ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;"

_WITH_UPTIMES = f"""
ALTER TABLE {QUEUE} ADD COLUMN uptime REAL;
ALTER TABLE {QUEUE} ADD COLUMN boot INTEGER;
ALTER TABLE in_flight ADD COLUMN assigned TEXT NOT NULL DEFAULT '';
CREATE INDEX in_flight_identity ON in_flight (identity, first_id);
"""

_WITH_CHECKPOINTS = """
CREATE TABLE checkpoints (
    name TEXT PRIMARY KEY, position TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE carried (
    source TEXT NOT NULL, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL,
    PRIMARY KEY (source, first_id)
) WITHOUT ROWID;
"""

_WITH_SEALS = """
ALTER TABLE meta ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE in_flight ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE checkpoints ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE carried ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN last_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN last_letter INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
UPDATE tally SET lost =
    coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'lost'), 0);
DELETE FROM meta WHERE name = 'lost';
"""
"""The seals themselves are computed by `upgrading`."""

_WITH_OWN_IDS = f"""
PRAGMA writable_schema = ON;
UPDATE sqlite_master SET sql = replace(sql, ' AUTOINCREMENT', '')
    WHERE name IN ('{QUEUE}', '{LETTERS}');
PRAGMA writable_schema = OFF;
"""
"""Ids are given by `INSERT_ROW`. SQLite's own note of them, which each row took a page for, stays
behind, empty. The tables are what they were but for the word; who has them open already would go by
it, and give ids again: see `upgrading`."""

UPGRADES = (
    _FIRST_SCHEMA,
    _WITH_CAUSES,
    _WITH_DROPS,
    _WITH_UPTIMES,
    _WITH_CHECKPOINTS,
    _WITH_SEALS,
    _WITH_OWN_IDS,
)
"""What makes each version of the schema out of the one before, from an empty file on."""

SCHEMA_VERSION = len(UPGRADES)
LANES_VERSION = SCHEMA_VERSION + 1
"""That of a file in which events have a priority: nothing of its tables differs."""
UNSEALED_VERSION = UPGRADES.index(_WITH_SEALS)
"""The last version whose records have no seals."""
SHARED_VERSION = UPGRADES.index(_WITH_OWN_IDS)
"""What a file is brought up to while others have it open."""
