"""Options in the environment: ``SEGOPS_API_URL`` and so on."""

from __future__ import annotations

import difflib
import logging
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from segops_durable.client.checks import refuse
from segops_durable.client.option_kinds import kind_of
from segops_durable.client.options import Options
from segops_durable.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

_log = logging.getLogger("segops_durable")
_OTHER_VARIABLES = ("SEGOPS_CONFIG", "SEGOPS_HASH_SECRET", "SEGOPS_HMAC_SECRET")
"""What the commands read beside the options."""

REQUIRED = ("api_url", "api_key")
"""The options without a default."""

_LIKENESS = 0.85
"""From here on a name is taken for a mistyped one (as `difflib` counts it)."""

_READERS = {
    name: kind.read
    for name, kind in ((each.name, kind_of(each)) for each in fields(Options))
    if kind.read is not None
}


def options_from_env(environ: Mapping[str, str] | None = None, **overrides: Any) -> Options:  # noqa: ANN401 - Options checks each
    """Make `Options` of ``SEGOPS_…`` environment variables; keyword arguments win.

    Each option that can be written down has the variable of its name in capitals: `batch_size`
    is ``SEGOPS_BATCH_SIZE``. ``SEGOPS_API_URL`` and ``SEGOPS_API_KEY`` are required. An empty
    variable counts as unset; a flag is ``1``, ``true`` or ``yes``, or ``0``, ``false`` or ``no``.

    Raises:
        ConfigurationError: A required variable is missing, one cannot be read, or an
            argument is no option. A variable that seems to be mistyped is logged.
    """
    for name in overrides:
        _check_is_option(name)
    for variable, meant in mistyped_variables(environ).items():
        _log.warning("the environment variable %s is none of ours; is it %s?", variable, meant)
    found = environment_settings(environ)
    chosen = {**{name: value for name, (_, value) in found.items()}, **overrides}
    check_required(chosen, lambda name: f"Set the environment variable {variable_of(name)}")
    return Options(**chosen)


def check_required(chosen: Collection[str], hint_of: Callable[[str], str]) -> None:
    """Refuse settings of which one is missing that has no default.

    Args:
        chosen: The names of those that are set.
        hint_of: Says how to set one.

    Raises:
        ConfigurationError: `api_url` or `api_key` is not among them.
    """
    for name in REQUIRED:
        if name not in chosen:
            raise ConfigurationError(f"{name} is not set", field=name, hint=hint_of(name))


def environment_settings(
    environ: Mapping[str, str] | None = None,
    *,
    on_problem: Callable[[ConfigurationError], object] | None = None,
) -> dict[str, tuple[str, Any]]:
    """The options that are set in the environment: the variable of each, and its value.

    Args:
        environ: Defaults to this process's.
        on_problem: Told of one that cannot be read, which is left out then. Defaults to None.

    Raises:
        ConfigurationError: One cannot be read, and nobody is told.
    """
    env = os.environ if environ is None else environ
    found = {}
    for name, read in _READERS.items():
        variable = variable_of(name)
        if text := env.get(variable):
            try:
                found[name] = (variable, _read(variable, text, read))
            except ConfigurationError as error:
                if on_problem is None:
                    raise
                on_problem(error)
    return found


def mistyped_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that are nearly one of ours, and which; others may be another program's."""
    ours = [*map(variable_of, _READERS), *_OTHER_VARIABLES]
    found = {}
    for variable in os.environ if environ is None else environ:
        if variable.upper().startswith("SEG") and variable not in ours:
            near = difflib.get_close_matches(variable.upper(), ours, 1, _LIKENESS)
            found.update(dict.fromkeys([variable], near[0]) if near else {})
    return found


def variable_of(name: str) -> str:
    """The environment variable of an option."""
    return f"SEGOPS_{name.upper()}"


def settings_names() -> tuple[str, ...]:
    """The names of the options that can be written down, in a file or in the environment."""
    return tuple(_READERS)


def _check_is_option(name: str) -> None:
    names = [each.name for each in fields(Options)]
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f"Is {near[0]} meant?" if near else f"There are {', '.join(names)}"
        raise ConfigurationError(f"{name} is no option of a client", field=name, hint=hint)


def _read(variable: str, text: str, read: Callable[[str], Any]) -> Any:  # noqa: ANN401 - the reader's type
    try:
        return read(text)
    except (KeyError, ValueError):
        refuse(variable, "cannot be read", text)
