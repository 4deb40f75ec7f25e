"""A file of the corpus, what has to come of it, and how both are written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Content: TypeAlias = "bytes | Mapping[str, bytes] | Callable[[Path], object]"
EXPECTED = ".expected.json"


class Reject(NamedTuple):
    """A record that has to be rejected.

    Attributes:
        first: The first line of it; of Parquet the row.
        last: The last one.
        mentions: What the reason has to mention.
    """

    first: int
    last: int
    mentions: str = ""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A file, and what has to come of it.

    Attributes:
        name: The file's name, or the directory's.
        about: Who writes such files, and what is odd in it.
        content: Its bytes; those of the files of a directory; or what writes it.
        arguments: Of `segops-durable import`, besides the file.
        events: What has to be stored, each as JSON; without `occurred_at` it is the time of
            the import.
        rejects: What has to be rejected.
        status: The exit status. Defaults to 0, to 1 with rejects, to 2 with a refusal.
        mentions: What a refusal has to mention. Defaults to that it is none.
        called: The name under which it is imported. Defaults to its own.
        is_stdin: Whether it is handed over as standard input.
        is_binary: Whether other versions of libraries may write other bytes.
    """

    name: str
    about: str
    content: Content
    arguments: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    rejects: tuple[Reject, ...] = ()
    status: int | None = None
    mentions: str = ""
    called: str = ""
    is_stdin: bool = False
    is_binary: bool = False

    @property
    def expected(self) -> str:
        """What has to come of it, as the text of the neighbour."""
        usual = 2 if self.mentions else 1 if self.rejects else 0
        head = {
            "about": self.about,
            "arguments": list(self.arguments),
            "status": usual if self.status is None else self.status,
            "mentions": self.mentions,
            "called": self.called or self.name,
            "is_stdin": self.is_stdin,
            "records": sum(_count(each) for each in self.events) + len(self.rejects),
        }
        parts = [f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in head.items()]
        rejects = [json.dumps(each._asdict()) for each in self.rejects]
        for name, lines in (("events", list(self.events)), ("rejects", rejects)):
            inner = ",\n".join(f"    {line}" for line in lines)
            parts.append(f'  "{name}": [\n{inner}\n  ]' if lines else f'  "{name}": []')
        return "{\n" + ",\n".join(parts) + "\n}\n"

    def write(self, directory: Path) -> None:
        """Write the file, or the directory, and its neighbour."""
        path = directory / self.name
        if isinstance(self.content, bytes):
            path.write_bytes(self.content)
        elif isinstance(self.content, Mapping):
            for name, data in self.content.items():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).write_bytes(data)
        else:
            self.content(path)
        (directory / f"{self.name}{EXPECTED}").write_text(self.expected, encoding="utf-8")


def write_all(cases: tuple[Case, ...], directory: Path) -> None:
    """Write a corpus anew."""
    for old in directory.glob("*"):
        if old.name != "README.md":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for case in cases:
        case.write(directory)


def event(
    user_id: str,
    payload: str = "{}",
    *,
    at: str | None = None,
    kind: str = "sold",
    anonymous_id: str | None = None,
) -> str:
    """An event as JSON; the payload is JSON already, so that its numbers keep their digits."""
    fields = [f'"user_id": {_json(user_id)}', f'"event_type": {_json(kind)}']
    if at is not None:
        fields.append(f'"occurred_at": {_json(at)}')
    fields.append(f'"payload": {payload}')
    if anonymous_id is not None:
        fields.append(f'"anonymous_id": {_json(anonymous_id)}')
    return "{" + ", ".join(fields) + "}"


def times(count: int, text: str) -> str:
    """An event that has to be stored so many times, one after the other."""
    return f'{{"$times": {count}, "$event": {text}}}'


def text_of(*lines: str, end: str = "\n", encoding: str = "utf-8") -> bytes:
    """Lines, each with its end, as bytes."""
    return "".join(f"{line}{end}" for line in lines).encode(encoding)


def _count(text: str) -> int:
    return int(json.loads(text).get("$times", 1))


def _json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
