"""``manage.py segops COMMAND``: the commands of ``segops-durable``, with the project's settings."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from segops_durable.cli.start import main
from segops_durable.client import settings_names
from segops_durable.contrib.django.current import chosen

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """Hands over what follows its name, and the settings by way of the environment."""

    help = "Look after the outbox: status, drain, doctor, dead and others; try segops --help"
    requires_system_checks: tuple[str, ...] = ()  # it is for when little else works

    def run_from_argv(self, argv: list[str]) -> None:
        """Leave every option to the commands, ``--help`` too; the exit status is theirs."""
        self.handle(arguments=argv[2:])

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whatever ``call_command`` is given."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *_: Any, arguments: list[str], **__: Any) -> None:
        """Run a command; a SystemExit has its status."""
        for name, value in chosen().items():
            if name in settings_names() and value is not None:
                os.environ[f"SEGOPS_{name.upper()}"] = str(value)
        sys.argv = ["manage.py segops", *arguments]
        main()
