"""`relay`: SegOps' own paths on this machine, for every SDK."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from segops_durable.cli.command import RELAY_EXTRA
from segops_durable.cli.configuration import Configuration, configured
from segops_durable.cli.output import say
from segops_durable.cli.service.logs import set_up, writes_log
from segops_durable.cli.service.manager import Manager
from segops_durable.cli.service.reloading import Reloading, Settings
from segops_durable.cli.service.signals import hear_reloads
from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

_F = TypeVar("_F", bound="Callable[..., Any]")

_OPTIONS: dict[str, dict[str, Any]] = {
    "listen": {
        "metavar": "HOST:PORT",
        "help": "Where to listen; port 0 picks one. Defaults to 127.0.0.1:8788.",
    },
    "socket": {"metavar": "FILE", "help": "A Unix socket to listen on instead."},
    "trust_local": {
        "is_flag": True,
        "default": None,
        "help": "Take any program of this machine, whichever key it has.",
    },
    "allow_origin": {
        "metavar": "ORIGIN",
        "multiple": True,
        "help": "Web pages that may post, as https://shop.example. May be given several times.",
    },
    "allow_host": {
        "metavar": "NAME",
        "multiple": True,
        "help": "A name that this machine goes by. May be given several times.",
    },
    "allow_remote": {
        "is_flag": True,
        "default": None,
        "help": "Listen where others can reach it; they have to show the token.",
    },
    "token": {
        "metavar": "TOKEN",
        "help": "What those from elsewhere show, in the URL (http://HOST:PORT/t/TOKEN) or in the "
        "header X-Relay-Token. Better set in the environment, where no list of processes has it.",
    },
    "page_token": {
        "metavar": "TOKEN",
        "help": "What the page at / needs to show events and to change anything. Defaults to one "
        "that is made at each start, and printed.",
    },
    "sign_command": {
        "metavar": "COMMAND",
        "help": "Signs for users whose session is over: it reads user_id, user_id_sig and "
        "user_id_ts as JSON, checks them, and prints them anew.",
    },
    "sign_url": {"metavar": "URL", "help": "The same by a POST to your backend."},
    "max_body_bytes": {
        "type": int,
        "metavar": "BYTES",
        "help": "Bytes of a request's body at most. Defaults to 8 MiB.",
    },
    "body_timeout": {
        "type": float,
        "metavar": "SECONDS",
        "help": "For a body to arrive whole. Defaults to 20.",
    },
    "replay_window": {
        "type": float,
        "metavar": "SECONDS",
        "help": "How long a request with an Idempotency-Key is answered again and stored once. "
        "Defaults to a day.",
    },
}
_FIELDS = {"allow_origin": "allow_origins", "allow_host": "allow_hosts"}


def _listening(command: _F) -> _F:
    """Give a command the options of a relay; each is in the environment as well."""
    for name, how in reversed(_OPTIONS.items()):
        flag, variable = f"--{name.replace('_', '-')}", f"SEGOPS_RELAY_{name.upper()}"
        command = click.option(flag, name, envvar=variable, **how)(command)
    return command


@click.command()
@_listening
@writes_log
@configured
def relay(config_file: str | None, log_format: str, **given: Any) -> None:
    """Take the events of every SDK on this machine, and send them.

    Set their api_url to the URL that it prints. They are answered once their events are on the
    disk. SIGTERM and Ctrl-C end it: requests that it has are answered, and one last effort to send
    is made. SIGHUP has it read the settings again: a new key is used at once, and callers may go on
    with the one before for a day. /health and /metrics say how it is. Each option has a variable,
    as SEGOPS_RELAY_LISTEN, and a name in the table [relay] of the TOML file, as listen.

    \b
    Example:
      segops-durable relay
      segops-durable relay --socket /run/segops/relay.sock
      segops-durable relay --allow-origin https://shop.example --sign-command sign-for
    """
    early = hear_reloads()
    try:
        from segops_durable.relay import Relay, RelaySettings  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError:
        raise click.ClickException(RELAY_EXTRA) from None
    from segops_durable.cli.service.relaying import RelayService  # noqa: PLC0415 - likewise

    set_up(log_format)
    own = {name: given.pop(name) for name in _OPTIONS}

    def read() -> tuple[Configuration, RelaySettings]:
        configuration = Configuration(given, config_file)
        return configuration, RelaySettings(**_chosen(own, configuration.relay))

    def read_again() -> Settings:
        configuration, settings = read()
        return Settings(configuration.options(sends=True), vars(settings))

    configuration, settings = read()
    found = Relay(configuration.options_of_outbox(sends=True), settings)

    def tell(url: str) -> None:
        say(f"SegOps relay on {url} - Ctrl-C stops it")
        if url.startswith("http"):  # no browser opens a file
            say(f"Its page: {found.page_address(url)}")

    RelayService(found, Manager(), Reloading(read_again, read_again()), tell, early).run()


def _chosen(given: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """The settings of a relay: options and the environment, and then the file."""
    for name in table:
        if name not in _OPTIONS:
            raise ConfigurationError(
                f"[relay] has a setting that there is not, got {name!r}",
                field=name,
                hint=f"There are {', '.join(_OPTIONS)}",
            )
    set_ones = {name: value for name, value in given.items() if value not in {None, ()}}
    chosen = {_FIELDS.get(name, name): value for name, value in {**table, **set_ones}.items()}
    where = chosen.get("socket")
    if where and isinstance(where, str):  # what is of another type is refused with the rest
        chosen["socket"] = Path(where).absolute()
    for name in _FIELDS.values():
        several = chosen.get(name, ())
        chosen[name] = (several,) if isinstance(several, str) else several
        if isinstance(several, list):
            chosen[name] = tuple(several)
    return chosen
