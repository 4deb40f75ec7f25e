"""What of a directory is a part of it, wherever the directory is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    from segops_durable.intake.sources.source import Source

SUCCESS = "_SUCCESS"
UNFINISHED = "_temporary"
TABLES = (
    ("_delta_log", "a table of Delta Lake"),
    (".hoodie", "a table of Hudi"),
    ("metadata/version-hint.text", "a table of Iceberg"),
)
_HEAD_BYTES = 1 << 12


def is_left_out(name: str) -> bool:
    """Whether a name says that it is none of the parts, or not all there yet."""
    is_hidden = name.startswith(".") or (name.startswith("_") and "=" not in name)
    return is_hidden or name.endswith("._COPYING_")


def make_part(source: Source, directory: str, called: str, part: str) -> Source:
    """Make a source a part of a directory.

    Args:
        source: The source.
        directory: The directory, as it is shown.
        called: Its name, which it keeps wherever it is moved to.
        part: The part's name in it.
    """
    source.directory = directory
    source.part = part
    told = [called, part, source.prefix(_HEAD_BYTES)[1]]
    source.part_key = hashlib.sha256("\n".join(told).encode(errors="surrogateescape")).hexdigest()
    return source


def not_done(directory: object) -> ConfigurationError:
    """What to say of a directory that its writer has not said to be done."""
    return ConfigurationError(
        f"{directory} is a directory without {SUCCESS}: perhaps it is still being written",
        field="source",
        hint="--wait waits for it; or, if all are there, --allow-incomplete takes them, "
        "as does naming the files",
    )


def no_table(directory: object, what: str) -> ConfigurationError:
    """What to say of a table whose log has to be read first."""
    return ConfigurationError(
        f"{directory} is {what}, whose log says which of its files count",
        field="source",
        hint="Export what it holds as Parquet, CSV or JSON Lines",
    )
