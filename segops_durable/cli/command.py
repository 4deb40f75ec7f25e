"""The group that all commands belong to, and what becomes of an error: words and a status."""

from __future__ import annotations

import sqlite3
import zlib
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import click

from segops_durable._version import __version__
from segops_durable.cli.output import say
from segops_durable.errors import ConfigurationError, InvalidEventError, SegOpsError
from segops_durable.errors.plain_text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FAILED = 1
"""The exit status when something waits, or failed; 2 is click's own, for wrong usage."""


SANDBOX_EXTRA = 'this command needs: pip install "segops-durable[sandbox]"'
RELAY_EXTRA = 'this command needs: pip install "segops-durable[relay]"'

_VERBOSE = "segops_durable.verbose"
_MOST_EXCEPTIONS = 20

_F = TypeVar("_F", bound="Callable[..., Any]")


class Commands(click.Group):
    """A group that lists its commands in their order, and tells errors in a sentence or two."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which they were added."""
        return list(self.commands)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the group's own arguments."""
        try:
            return super().make_context(*args, **kwargs)
        except click.ClickException as error:
            raise _shown(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a wrong option or event is wrong usage, the rest a failure."""
        try:
            return super().invoke(ctx)
        except (ConfigurationError, InvalidEventError) as error:
            _tell_chain(error)
            raise click.UsageError(visible(str(error))) from error
        except BrokenPipeError:  # whoever reads has enough: click ends in silence
            raise
        except (SegOpsError, OSError, sqlite3.Error, zlib.error) as error:
            _tell_chain(error)
            raise click.ClickException(visible(str(error))) from error
        except click.ClickException as error:
            raise _shown(error) from None


def verbose(command: _F) -> _F:
    """Give a command the option -v, which `is_verbose` asks for."""
    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_note_verbose,
        help="Tell also what the libraries say of an error.",
    )(command)


def _note_verbose(context: click.Context, _option: click.Parameter, value: bool) -> None:
    context.meta[_VERBOSE] = value or context.meta.get(_VERBOSE, False)


def is_verbose() -> bool:
    """Whether -v was given, to the command or before it."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_VERBOSE))


def _tell_chain(error: BaseException) -> None:
    """Say what led to an error, if somebody wants to know."""
    if is_verbose():
        for each in islice(_chain(error), _MOST_EXCEPTIONS):
            say(f"{type(each).__name__}: {each}", err=True)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="segops-durable")
@verbose
def run() -> None:
    """Keep SegOps events on disk until SegOps has accepted them.

    Exit status: 0 if all is well and nothing that had to be sent waits, 1 if something waits
    or failed, 2 if the command was used wrongly.

    \b
    Example:
      segops-durable status --help
    """


def _shown(error: click.ClickException) -> click.ClickException:
    """An error of click's with what it quotes made visible; a list in it keeps its lines."""
    text = error.format_message()
    if isinstance(error, click.UsageError):
        clean = "\n".join(map(visible, text.split("\n")))
        return error if clean == text else click.UsageError(clean, error.ctx)
    clean = visible(text)
    return error if clean == text else click.ClickException(clean)


def tell(errors: Iterable[SegOpsError]) -> None:
    """Say what happened on the side, on standard error."""
    for error in errors:
        say(f"Note: {error}", err=True)
