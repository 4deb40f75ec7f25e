"""Reading the settings again while a service runs: a key that was replaced is used at once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segops_durable.cli.service.logs import note
from segops_durable.client import settings_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segops_durable.client import Options


@dataclass(frozen=True)
class Settings:
    """What a service was told.

    Attributes:
        options: Of its client, as they are set: where the outbox is by default depends on the key.
        others: The rest, by name.
    """

    options: Options
    others: Mapping[str, object]


class Reloading:
    """Reads the settings again.

    Args:
        read: Reads them.
        before: What they were.
    """

    def __init__(self, read: Callable[[], Settings], before: Settings) -> None:
        self._read = read
        self._before = before

    def run(self, use_key: Callable[[str], object]) -> None:
        """Read them, and use a new key; of what else has changed the log has that it waits.

        Where they cannot be read, or the key is none, all stays as it is, and is logged.

        Args:
            use_key: Called with the key.
        """
        try:
            found = self._read()
            has_new_key = found.options.api_key != self._before.options.api_key
            if has_new_key:
                use_key(found.options.api_key)
        except Exception as error:  # noqa: BLE001 - whatever it is: the service goes on, and hears the next signal
            text = f"the settings cannot be used, and all stays as it was: {error}"
            note("reload", text, level=logging.ERROR, key_changed=False)
            return
        later = _differing(self._before, found)
        text = "a new key is used" if has_new_key else "the key is the same"
        if later:
            text += f"; a restart is needed for {', '.join(later)}"
        self._before = Settings(found.options, self._before.others)
        level = logging.WARNING if later else logging.INFO
        note("reload", text, level=level, key_changed=has_new_key, needs_restart=later)


def _differing(before: Settings, now: Settings) -> list[str]:
    """What has changed, but for the key."""
    names = [
        name
        for name in settings_names()
        if name != "api_key" and getattr(before.options, name) != getattr(now.options, name)
    ]
    return names + [name for name, value in now.others.items() if before.others.get(name) != value]
