"""The options of ``.option(…)``: read, checked, and carried to the tasks; never with a key."""

from __future__ import annotations

import os
import tempfile
import uuid
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segops_durable.client import Options
from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown
from segops_durable.intake.imports import FieldMap

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_VARIABLE = "SEGOPS_API_KEY"
"""Where a task looks for the key when there is no `api_key_file`."""

_NO_KEY = "sk_on_the_executors"  # stands for the key while the other options are checked
_OF_SPARK = {"checkpointlocation", "queryname", "outputmode", "path"}
_FAMILIES = {"map": "columns", "const": "constants"}
_MAPPED = ("time_zone", "time_format", "time_unit", "nan")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a write was told, in ``.option(…)``; all are texts there.

    The API key is none of them: options are shown in plans, in event logs and in Spark's UI. A
    task reads it from `api_key_file`, or from its environment, ``SEGOPS_API_KEY``.

    Besides, options say what columns are, as `FieldMap` has it: ``map.<field>`` is a column's
    name (``map.user_id``, ``map.payload``, …) and ``const.<field>`` a value for all rows; ``type``
    is ``track`` or ``identify``; and there are ``time_zone``, ``time_format``, ``time_unit`` and
    ``nan``.

    Attributes:
        api_url: Where SegOps is, as for `SegOpsClient`. Required.
        api_key_file: A file on each executor with a secret key, ``sk_…``. Defaults to none: then
            it is the executors' environment.
        job: What a write of a DataFrame is called: where the driver is killed and the same job is
            run again, by the same name, what was sent is not sent again, or under the same keys.
            A stream's name is that of its query. Defaults to one that is drawn anew.
        scratch: A directory on each executor that outlives its processes. Defaults to
            ``segops-spark-<user>`` in the machine's directory for temporary files.
        batch_size: Rows in a chunk, which is a request, 1 to 500. Defaults to 500.
        lanes: Partitions that there are at most. Defaults to any number.
        max_requests_per_minute: Requests of all lanes together, spaced evenly in each. It needs
            `lanes`, which share it. Defaults to None: no limit.
        drain_timeout: Seconds in which a task that delivers nothing fails. Defaults to 600.
        dead_letters: A directory of the driver for what could not be delivered, as JSON Lines, a
            file for each write or micro-batch. Defaults to none.
        max_errors: Rows that may end there; with more the commit fails, and the scratch space
            stays. Defaults to 1000 where there are `dead_letters`, and to 0 where not.
        timeout: Seconds for a request. Defaults to 10.
        max_event_bytes: Bytes of one encoded event at most. Defaults to 262144.
        allow_insecure: Allow ``http://`` to a host that is not loopback. Defaults to False.

    Raises:
        ConfigurationError: A ValueError that names the option and its value.
    """

    api_url: str
    api_key_file: str | None = None
    job: str | None = None
    scratch: str | None = None
    batch_size: int = 500
    lanes: int | None = None
    max_requests_per_minute: int | None = None
    drain_timeout: float = 600.0
    dead_letters: str | None = None
    max_errors: int | None = None
    timeout: float = 10.0
    max_event_bytes: int = 262_144
    allow_insecure: bool = False
    field_map: FieldMap = field(default_factory=FieldMap)

    def __post_init__(self) -> None:
        self.for_client(_NO_KEY)  # what both have in common is checked there
        for name in ("scratch", "dead_letters", "api_key_file"):
            value = getattr(self, name)
            if value is not None and not os.path.isabs(value):  # noqa: PTH117 - of another machine's
                raise _wrong(name, "must be the absolute path of a directory or file", value)
        if self.drain_timeout <= 0:
            raise _wrong("drain_timeout", "must be above 0", self.drain_timeout)
        if self.lanes is not None and self.lanes < 1:
            raise _wrong("lanes", "must be at least 1", self.lanes)
        if self.max_errors is not None and self.max_errors < 0:
            raise _wrong("max_errors", "must be at least 0", self.max_errors)
        if self.max_errors and self.dead_letters is None:
            hint = "Say where they go: dead_letters"
            raise _wrong("max_errors", "must be 0 without dead_letters", self.max_errors, hint)
        limit = self.max_requests_per_minute
        if limit is not None and (self.lanes is None or self.lanes > limit):
            raise _wrong(
                "lanes",
                f"must be 1 to {limit} with max_requests_per_minute={limit}, which they share",
                self.lanes,
                "Partition the rows into so many: partitioned(df, lanes)",
            )

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Settings:
        """Read what Spark hands over.

        Args:
            given: The options, by their names in small letters.

        Raises:
            ConfigurationError: One is unknown, or cannot be.
        """
        if "api_key" in given:
            raise ConfigurationError(
                "api_key must not be an option: plans, logs and Spark's UI show options",
                field="api_key",
                hint=f"Put it into a file, api_key_file, or the executors' {KEY_VARIABLE}; "
                "and rotate the one that was given here",
            )
        read: dict[str, Any] = {}
        mapped: dict[str, Any] = {"columns": {}, "constants": {}}
        for name, value in given.items():
            cls._take(name, value, read, mapped)
        if "api_url" not in read:
            raise ConfigurationError("api_url is required", field="api_url")
        if "occurred_at" not in mapped["constants"]:
            # one that takes the time of the attempt would have other bytes in the next
            mapped["columns"].setdefault("occurred_at", "occurred_at")
        return cls(**read, field_map=FieldMap(**mapped))

    @classmethod
    def _take(cls, name: str, value: str, read: dict[str, Any], mapped: dict[str, Any]) -> None:
        """Read an option: one of ours, or of the map of columns; one of Spark is passed over."""
        known = {each.name: str(each.type) for each in fields(cls) if each.name != "field_map"}
        family, dot, field_name = name.partition(".")
        if name in known:
            read[name] = _read(name, value, known[name])
        elif name in _MAPPED:
            mapped[name] = value
        elif name == "type":
            mapped["kind"] = value
        elif dot and family in _FAMILIES:
            mapped[_FAMILIES[family]][field_name] = value
        elif name not in _OF_SPARK and not name.startswith(("async", "spark.")):
            names = ", ".join([*known, *_MAPPED, "type", "map.<field>", "const.<field>"])
            raise ConfigurationError(f"there is no option {name!r}. There are {names}", field=name)

    @property
    def most_errors(self) -> int:
        """`max_errors`, or its default."""
        if self.max_errors is not None:
            return self.max_errors
        return 0 if self.dead_letters is None else 1000

    @property
    def scratch_root(self) -> Path:
        """`scratch`, or its default, on the machine that this is asked on."""
        if self.scratch is not None:
            return Path(self.scratch)
        user = os.getuid() if hasattr(os, "getuid") else "user"
        return Path(tempfile.gettempdir(), f"segops-spark-{user}")

    @property
    def spacing(self) -> float:
        """Seconds between two requests of a lane; 0 for none."""
        limit = self.max_requests_per_minute
        return 60.0 * (self.lanes or 1) / limit if limit else 0.0

    def named(self) -> str:
        """The job's name, or one that nobody else has."""
        return self.job or str(uuid.uuid4())

    def check_partition(self, partition: int) -> None:
        """Refuse to be one of more partitions than there are lanes: they would send too much.

        Raises:
            ConfigurationError: There are more.
        """
        if self.lanes is not None and partition >= self.lanes:
            raise ConfigurationError(
                f"there are more partitions than lanes: this is number {partition} and "
                f"lanes={self.lanes}",
                field="lanes",
                hint=f"Partition the rows into so many: partitioned(df, {self.lanes})",
            )

    def for_client(self, api_key: str, **more: Any) -> Options:  # noqa: ANN401 - Options checks each
        """The options of what sends.

        Args:
            api_key: The key.
            **more: Others.

        Raises:
            ConfigurationError: One of them cannot be.
        """
        return Options(
            api_url=self.api_url,
            api_key=api_key,
            batch_size=self.batch_size,
            timeout=self.timeout,
            max_event_bytes=self.max_event_bytes,
            allow_insecure=self.allow_insecure,
            **more,
        )

    def read_key(self) -> str:
        """The API key, on an executor.

        Raises:
            ConfigurationError: There is none, or no secret one; it is never repeated.
        """
        place = self.api_key_file or KEY_VARIABLE
        try:
            found = (
                os.environ.get(KEY_VARIABLE, "")
                if self.api_key_file is None
                else Path(self.api_key_file).read_text(encoding="utf-8")
            ).strip()
        except (OSError, ValueError) as error:
            problem = f"the API key cannot be read from {place}: {type(error).__name__}"
            raise ConfigurationError(problem, field="api_key_file") from None
        if not found.startswith("sk_"):
            raise ConfigurationError(
                f"there must be a secret key (sk_…) in {place}, on each executor",
                field="api_key_file",
                hint="A public key would attribute all rows to one user",
            )
        return found


def _read(name: str, value: str, kind: str) -> object:
    try:
        if kind.startswith("int"):
            return int(value)
        if kind.startswith("float"):
            return float(value)
    except ValueError:
        raise _wrong(name, "must be a number", value) from None
    if kind == "bool":
        if value.lower() not in {"true", "false"}:
            raise _wrong(name, "must be true or false", value)
        return value.lower() == "true"
    return value


def _wrong(name: str, problem: str, value: object, hint: str = "") -> ConfigurationError:
    return ConfigurationError(f"{name} {problem}, got {shown(value)}", field=name, hint=hint)
