"""Where default outboxes may lie: in the default directory, and in what else it may have been.

The directory depends on the environment and on the user. So a variable that is set later, or
a command under `sudo`, looks elsewhere than the client that tracked. Told is what can be:
directories of this user, of whoever called `sudo`, and of root, as far as they can be read.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from segops_durable.errors import ConfigurationError

_BELOW_HOME = {"darwin": "Library/Application Support"}.get(sys.platform, ".local/state")
_NAME = "segops-durable"


def default_directories(*, is_thorough: bool) -> list[Path]:
    """The default directory, and then the others, each once, as far as they are there.

    Args:
        is_thorough: Ask the system for users as well, which may take long over a network.
    """
    found: dict[str, Path] = {}
    with suppress(ConfigurationError):  # this user has no home
        found[os.path.realpath(default_directory())] = default_directory()
    for directory in _others(is_thorough=is_thorough):
        found.setdefault(os.path.realpath(directory), directory)
    return [each for each in found.values() if os.path.isdir(each)]  # noqa: PTH112 - Path's own raises where this user may not look


def default_directory() -> Path:
    """The per-user directory that holds outboxes when no `queue_path` is given.

    Raises:
        ConfigurationError: It would be in a home directory, and there is none.
    """
    import platformdirs  # noqa: PLC0415 - takes long, and is for those who give no path

    try:
        directory = platformdirs.user_state_path("segops-durable", appauthor=False)
        home = Path.home()
    except RuntimeError:  # the user has no name, and HOME is not set
        raise _no_home("HOME is not set") from None
    if not directory.is_absolute():
        raise _no_home(f"got {str(directory)!r}")
    if home in directory.parents and not os.path.isdir(home):  # noqa: PTH112 - Path's own raises where this user may not look
        raise _no_home(f"HOME is {str(home)!r}, which is not there, or closed to this user")
    return directory


def _no_home(problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"queue_path is not set, and this user has no home directory: {problem}",
        field="queue_path",
        hint="Set SEGOPS_QUEUE_PATH, or give a queue_path",
    )


def outboxes_in(directory: Path) -> list[Path]:
    """The default outboxes in a directory; none where this user may not look into it."""
    try:
        return sorted(directory.glob("outbox-*.db"))
    except OSError:
        return []


def _others(*, is_thorough: bool) -> list[Path]:
    homes = [os.path.expanduser("~")]  # noqa: PTH111 - Path's own raises where there is none
    if is_thorough:
        homes += homes_of_users()
    return [Path(home, _BELOW_HOME, _NAME) for home in homes if Path(home).is_absolute()]


def homes_of_users() -> list[str]:
    """The home directories of this user, of whoever called `sudo`, and of root."""
    homes: list[str] = []
    if sys.platform != "win32":
        import pwd  # noqa: PLC0415 - there is none on Windows

        numbers = [os.geteuid(), os.getuid(), 0]
        with suppress(KeyError, ValueError):
            numbers.append(int(os.environ["SUDO_UID"]))
        for number in numbers:
            with suppress(KeyError):
                homes.append(pwd.getpwuid(number).pw_dir)
    return homes
