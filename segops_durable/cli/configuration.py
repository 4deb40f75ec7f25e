"""Where a command's settings come from: options, then the environment, then a TOML file."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import platformdirs

from segops_durable.errors import ConfigurationError
from segops_durable.options import (
    Options,
    default_directory,
    environment_settings,
    masked,
    settings_names,
)
from segops_durable.outbox import find_outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG_VARIABLE = "SEGOPS_CONFIG"
_HINT_KEY = "Set SEGOPS_API_URL and SEGOPS_API_KEY, or write them to the file that config names"

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

    Attributes:
        settings: What holds, by name.
        file: The TOML file, whether it is there or not.

    Raises:
        ConfigurationError: The file cannot be read, or has a setting that there is not.
    """

    def __init__(self, given: Mapping[str, Any], file: str | None = None) -> None:
        chosen = file or os.environ.get(CONFIG_VARIABLE) or None
        self.file = Path(chosen) if chosen else _default_file()
        self.settings = {
            **_file_settings(self.file, is_needed=chosen is not None),
            **{
                name: Setting(value, f"the environment ({variable})")
                for name, (variable, value) in environment_settings().items()
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
        for name in ("api_url", "api_key"):
            if name not in chosen:
                raise ConfigurationError(f"{name} is not set", field=name, hint=_HINT_KEY)
        chosen["queue_path"] = None if chosen.get("queue_path") is None else self._path(chosen)
        return Options(**chosen)

    def value(self, name: str, default: Any) -> Any:
        """A setting's value, or a default where it is not set."""
        return self.settings[name].value if name in self.settings else default

    def outbox_path(self) -> Path:
        """Where the outbox is: as it is set, or that of the key, or the only one there is.

        Raises:
            ConfigurationError: There is more than one, and nothing says which.
        """
        if "queue_path" in self.settings:
            return self._path({name: each.value for name, each in self.settings.items()})
        if {"api_url", "api_key"} <= set(self.settings):
            options = self.options()
            return find_outbox(options.outbox_path, options.api_url, options.key_fingerprint)
        found = sorted(default_directory().glob("outbox-*.db"))
        if len(found) > 1:
            names = ", ".join(map(str, found))
            problem = f"queue_path is not set, and there are several: {names}"
            raise ConfigurationError(problem, field="queue_path", hint="Choose with --queue-path")
        return found[0] if found else default_directory() / "outbox.db"

    def shown(self) -> dict[str, Setting]:
        """What holds, with the key masked, for people to see."""
        return {
            name: Setting(masked(str(each.value)), each.source) if name == "api_key" else each
            for name, each in sorted(self.settings.items())
        }

    @staticmethod
    def _path(chosen: Mapping[str, Any]) -> Path:
        return Path(chosen["queue_path"]).expanduser().absolute()


def configured(command: _F) -> _F:
    """Give a command the options that find its settings; it gets a `Configuration`."""
    for option in (
        click.option("--config", "config_file", help="TOML file with settings.", metavar="FILE"),
        click.option("--queue-path", help="The outbox file.", metavar="FILE"),
        click.option("--api-url", help="Where SegOps is.", metavar="URL"),
    ):
        command = option(command)
    return command


def _default_file() -> Path:
    return platformdirs.user_config_path("segops-durable", appauthor=False) / "config.toml"


def _file_settings(file: Path, *, is_needed: bool) -> dict[str, Setting]:
    if not is_needed and not file.exists():
        return {}
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"the file {file} cannot be read: {error}", field="config"
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"the file {file} is no TOML: {error}", field="config") from None
    for name in found:
        if name not in settings_names():
            raise ConfigurationError(
                f"the file {file} has a setting that there is not, got {name!r}",
                field=name,
                hint=f"There are {', '.join(settings_names())}",
            )
    return {name: Setting(value, f"the file {file}") for name, value in found.items()}
