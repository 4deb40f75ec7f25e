r"""Text of others, as it may be shown: no terminal, and no reader of a log, is led by it.

A server's words, an event's texts and a file's name may hold anything. What a terminal obeys
(ESC, other controls), what begins a new line (which could look like one of ours), and what
turns the order of letters round are written as Python writes them: ``\x1b``.
"""

from __future__ import annotations

import json
import re
from reprlib import Repr

from segops_durable.errors.redaction import scrubbed

_LONGEST_SHOWN = 80
_BEYOND_C0 = (
    "\x7f-\x9f"  # DEL, C1
    "\u2028\u2029"  # separators of lines and paragraphs
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates of direction
    "\ud800-\udfff"  # lone surrogates: a name of a file that is no UTF-8
    "\U000e0000-\U000e007f"  # tags: text that nobody sees
)
_LED_BY = re.compile(f"[\x00-\x1f{_BEYOND_C0}]")
_LED_BY_IN_JSON = re.compile(f"[{_BEYOND_C0}]")  # C0 is escaped there in any case
_repr = Repr()
_repr.maxdict = _repr.maxlist = _repr.maxtuple = _repr.maxset = _repr.maxfrozenset = 20
_repr.maxstring = _repr.maxother = _repr.maxlong = 2 * _LONGEST_SHOWN


def visible(text: str) -> str:
    """A text with what a terminal would obey made visible, on one line."""
    return text if text.isprintable() else _LED_BY.sub(_escaped, text)


def json_text(document: object, *, indent: int | None = None, is_ascii: bool = False) -> str:
    """A value as JSON, with the same characters escaped, as JSON has it."""
    text = json.dumps(document, ensure_ascii=is_ascii, indent=indent, default=str)
    return text if text.isprintable() else _LED_BY_IN_JSON.sub(_escaped_in_json, text)


def shown(value: object) -> str:
    """A value, short, for an error to show; whatever its methods do."""
    try:
        text = scrubbed(_repr.repr(value))  # before it is cut, as half a secret is one, too
    except Exception:  # noqa: BLE001 - a broken __repr__ must not hide the real complaint
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def _escaped(match: re.Match[str]) -> str:
    return repr(match[0])[1:-1]


def _escaped_in_json(match: re.Match[str]) -> str:
    character = match[0]
    return f"\\u{ord(character):04x}" if character < "\U00010000" else json.dumps(character)[1:-1]
