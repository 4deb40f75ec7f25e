"""Where a command's settings come from: options, then the environment, then a TOML file."""

from __future__ import annotations

import os
import sys
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import platformdirs

from segops_durable.cli.command import verbose
from segops_durable.client import (
    REQUIRED,
    Options,
    check_required,
    checked_path,
    environment_settings,
    masked,
    settings_names,
)
from segops_durable.errors import ConfigurationError
from segops_durable.errors.redaction import without_user
from segops_durable.outbox import find_outbox, places

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NO_KEY = "sk_none"
"""A key that is none, in place of one that cannot be sent."""

CONFIG_VARIABLE = "SEGOPS_CONFIG"
RELAY_TABLE = "relay"
_LARGEST_FILE = 1 << 20
_HINT_KEY = "Set SEGOPS_API_URL and SEGOPS_API_KEY, or write them to the file that config names"

_SHOWN = {"api_key": masked, "api_url": without_user}

_F = TypeVar("_F", bound="Callable[..., Any]")


@dataclass(frozen=True)
class Setting:
    """A setting that holds.

    Attributes:
        value: Its value.
        source: Where it comes from, in words.
    """

    value: Any
    source: str


class Configuration:
    """The settings of a command.

    Args:
        given: What was given as options of the command, by name; None for what was not.
        file: A TOML file that has to be there. Defaults to the one in ``SEGOPS_CONFIG``, or
            the user's own, if there is one.
        on_problem: Told of a file or a variable that cannot be read, which is left out then.
            Defaults to None: it is raised.

    Attributes:
        settings: What holds, by name.
        file: The TOML file, whether it is there or not; None if the user has no home.
        relay: The table ``[relay]`` of the file: what only a relay is told.

    Raises:
        ConfigurationError: The file cannot be read, or has a setting that there is not.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        file: str | None = None,
        *,
        on_problem: Callable[[ConfigurationError], object] | None = None,
    ) -> None:
        chosen = file or os.environ.get(CONFIG_VARIABLE) or None
        self.file: Path | None = Path(chosen) if chosen else _default_file()
        found = _found(self.file, is_needed=chosen is not None, on_problem=on_problem)
        self.relay: dict[str, Any] = _table(found, RELAY_TABLE)
        self.settings: dict[str, Setting] = {
            **_file_settings(self.file, found, on_problem=on_problem),
            **{
                name: Setting(value, f"the environment ({variable})")
                for name, (variable, value) in environment_settings(on_problem=on_problem).items()
            },
            **{
                name: Setting(value, f"the option --{name.replace('_', '-')}")
                for name, value in given.items()
                if value is not None
            },
        }

    def options(self, **overrides: Any) -> Options:
        """Make `Options` of the settings.

        Raises:
            ConfigurationError: One is wrong, or the URL or the key is missing.
        """
        chosen = {**{name: each.value for name, each in self.settings.items()}, **overrides}
        check_required(chosen, lambda _name: _HINT_KEY)
        return Options(**chosen)

    def options_of_outbox(self, **overrides: Any) -> Options:
        """Make `Options` as `options` does, with the path of the outbox that they lead to.

        Raises:
            ConfigurationError: As `options` and `outbox_path`.
        """
        return replace(self.options(**overrides), queue_path=self.outbox_path())

    def without_wrong(self) -> tuple[Configuration, list[ConfigurationError]]:
        """The same without the settings that are wrong, and what is wrong with each.

        A wrong key gives way to one that nobody has, so that what needs one can be tried.
        """
        sound = copy(self)
        sound.settings = dict(self.settings)
        problems: list[ConfigurationError] = []
        while error := sound.problem():
            problems.append(error)
            if error.field not in sound.settings:
                break
            del sound.settings[error.field]
            if error.field == "api_key":
                sound.settings["api_key"] = Setting(NO_KEY, "nowhere")
        return sound, problems

    def at(self, path: Path) -> Configuration:
        """The same with an outbox that was chosen already."""
        there = copy(self)
        there.settings = {**self.settings, "queue_path": Setting(path, "what was found")}
        return there

    def problem(self) -> ConfigurationError | None:
        """What is wrong with the settings, if anything is."""
        try:
            self.options()
        except ConfigurationError as error:
            return error
        return None

    def value(self, name: str, default: Any) -> Any:
        """A setting's value, or a default where it is not set."""
        return self.settings[name].value if name in self.settings else default

    def outbox_path(self) -> Path:
        """Where the outbox is: as it is set, or that of the key, or the only one there is.

        Raises:
            ConfigurationError: There is more than one, and nothing says which.
        """
        if "queue_path" in self.settings:
            path = checked_path(self.settings["queue_path"].value)
            if path is None:
                raise ConfigurationError("queue_path is not set", field="queue_path")
            return path
        if self.settings.keys() >= set(REQUIRED):
            options = self.options()
            return find_outbox(options.outbox_path, options.api_url, options.key_fingerprint)
        found = places.outboxes_in(places.default_directory())
        if len(found) > 1:
            names = ", ".join(map(str, found))
            problem = f"queue_path is not set, and there are several: {names}"
            raise ConfigurationError(problem, field="queue_path", hint="Choose with --queue-path")
        return found[0] if found else places.default_directory() / "outbox.db"

    def shown(self) -> dict[str, Setting]:
        """What holds, without its secrets, for people to see."""
        return {
            name: Setting(_SHOWN[name](str(each.value)), each.source) if name in _SHOWN else each
            for name, each in sorted(self.settings.items())
        }


def configured(command: _F) -> _F:
    """Give a command the options that find its settings; it gets a `Configuration`."""
    for option in (
        verbose,
        click.option("--config", "config_file", help="TOML file with settings.", metavar="FILE"),
        click.option("--queue-path", help="The outbox file.", metavar="FILE"),
        click.option("--api-url", help="Where SegOps is.", metavar="URL"),
    ):
        command = option(command)
    return command


def _default_file() -> Path | None:
    """The user's own file; None where the user has no home: that is no reason to fail."""
    try:
        directory = platformdirs.user_config_path("segops-durable", appauthor=False)
    except RuntimeError:  # no HOME, or one that is not absolute, and no name
        return None
    return directory / "config.toml" if directory.is_absolute() else None


def _text_of(file: Path) -> str:
    """The text of a file of settings; what is larger is none, and may have no end at all."""
    with file.open("rb") as stream:
        data = stream.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise ValueError(f"it has more than {_LARGEST_FILE} bytes")
    return data.decode()


def _found(
    file: Path | None,
    *,
    is_needed: bool,
    on_problem: Callable[[ConfigurationError], object] | None,
) -> dict[str, Any]:
    """What a file has; nothing, if it cannot be read and somebody is told of that."""
    try:
        return _read_file(file, is_needed=is_needed)
    except ConfigurationError as error:
        if on_problem is None:
            raise
        on_problem(error)
        return {}


def _table(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Take a table out of what a file has; empty if there is none."""
    return found.pop(name) if isinstance(found.get(name), dict) else {}


def _file_settings(
    file: Path | None,
    found: dict[str, Any],
    *,
    on_problem: Callable[[ConfigurationError], object] | None,
) -> dict[str, Setting]:
    known = {}
    for name, value in found.items():
        if name in settings_names():
            known[name] = Setting(value, f"the file {file}")
            continue
        unknown = ConfigurationError(
            f"the file {file} has a setting that there is not, got {name!r}",
            field=name,
            hint=f"There are {', '.join(settings_names())}",
        )
        if on_problem is None:
            raise unknown
        on_problem(unknown)
    return known


def _read_file(file: Path | None, *, is_needed: bool) -> dict[str, Any]:
    if file is None or (not is_needed and not os.path.exists(file)):  # noqa: PTH110 - Path's own raises in a directory of somebody else
        return {}
    try:
        found: dict[str, Any] = tomllib.loads(_text_of(file))
    except OSError as error:
        raise ConfigurationError(
            f"the file {file} cannot be read: {error}", field="config"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"the file {file} is no TOML: {error}", field="config") from None
    return found
