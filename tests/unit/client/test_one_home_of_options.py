"""Each option is declared once, in `Options`; whatever repeats it agrees with that."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from segops_durable import ConfigurationError, Options, SegOpsClient
from segops_durable.cli.configuration import Configuration
from segops_durable.client.environment import environment_settings, settings_names, variable_of
from segops_durable.client.option_kinds import kind_of
from support.docstrings import section

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
OPTIONS = {each.name: each for each in dataclasses.fields(Options)}
ATTRIBUTES = section(Options, "Attributes")
ARGUMENTS = section(SegOpsClient, "Args")
IN_PYTHON_ONLY = {
    "get_user",
    "user_context_for",
    "before_store",
    "may_send",
    "on_error",
    "http_session",
}
REQUIRED = {"api_url", "api_key"}
NOT_SET = {"catch_up_batch_size": "None: `batch_size`."}
WRITTEN = {
    "newest_share": "0.2",
    "api_url": "https://x.y",
    "api_key": "sk_x",
    "queue_path": "/q.db",
    "durability": "normal",
    "overflow": "block",
}


def in_words(value: Any) -> str:
    """A default as a docstring has it."""
    return (
        f"``{value}``" if isinstance(value, str) else f"{value:g}" if _counts(value) else f"{value}"
    )


def in_table(name: str, value: Any) -> str:
    """A default as the README's table has it."""
    if not _counts(value):
        return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"
    unit = kind_of(OPTIONS[name]).unit
    if unit == "bytes":
        return f"{value // 1024} KiB"
    return f"{value:g}" + (" s" if unit == "seconds" else "")


def _counts(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def rows() -> dict[str, tuple[str, str]]:
    table = README.split("## Options")[1].split("\n\n")[2]
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {name.strip("`"): (default, meaning) for name, default, meaning in lines}


def test_the_constructor_takes_each_option_with_its_type_and_default() -> None:
    parameters = inspect.signature(SegOpsClient).parameters
    assert list(parameters) == list(OPTIONS)
    for name, parameter in parameters.items():
        option = OPTIONS[name]
        if name == "queue_path":  # made absolute
            assert (parameter.annotation, option.type) == (
                "str | os.PathLike[str] | None",
                "Path | None",
            )
        else:
            assert parameter.annotation == option.type, name
        if name in REQUIRED:
            assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            assert parameter.default is parameter.empty
            assert option.default is dataclasses.MISSING
        else:
            assert parameter.kind is parameter.KEYWORD_ONLY, name
            assert parameter.default == option.default, name
            assert type(parameter.default) is type(option.default), name


def test_each_option_that_can_be_written_down_is_read_from_the_environment() -> None:
    names = [name for name in OPTIONS if name not in IN_PYTHON_ONLY]
    assert list(settings_names()) == names  # which is what a file of settings may name
    texts = {name: WRITTEN.get(name) or other_than(OPTIONS[name].default) for name in names}
    found = environment_settings({variable_of(name): text for name, text in texts.items()})
    assert list(found) == names
    values: dict[str, Any] = {name: value for name, (_, value) in found.items()}
    options = Options(**values)
    for name in names:
        assert getattr(options, name) != OPTIONS[name].default, name


def other_than(default: object) -> str:
    """A value as the environment may have it, and the default is not."""
    if isinstance(default, bool):
        return "no" if default else "yes"
    return "27"  # more than any number that another one must not be below


def test_a_file_of_settings_has_the_same_names_and_no_others(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("".join(f"{name} = 1\n" for name in settings_names()))
    assert set(Configuration({}, str(file)).settings) == set(OPTIONS) - IN_PYTHON_ONLY
    for name in IN_PYTHON_ONLY:
        file.write_text(f"{name} = 1\n")
        with pytest.raises(ConfigurationError, match=f"a setting that there is not, got '{name}'"):
            Configuration({}, str(file))


@pytest.mark.parametrize("name", [name for name in OPTIONS if kind_of(OPTIONS[name]).unit])
def test_what_counts_refuses_what_does_not(name: str) -> None:
    values: dict[str, Any] = {"api_url": "https://x.y", "api_key": "sk_x"}
    for wrong in ("1", True, -1, float("nan")):
        with pytest.raises(ConfigurationError) as caught:
            Options(**{**values, name: wrong})
        assert caught.value.field == name


def test_the_home_documents_each_with_its_unit_and_default() -> None:
    assert list(ATTRIBUTES) == list(OPTIONS)
    for name, text in ATTRIBUTES.items():
        option = OPTIONS[name]
        if name in REQUIRED:
            assert "Defaults" not in text
            continue
        meaning, default = text.split("Defaults to ")
        assert kind_of(option).unit in meaning.lower(), name
        if option.default is None and kind_of(option).unit:
            assert default == NOT_SET.get(name, "None: no limit.")
        elif option.default is not None:
            assert re.match(re.escape(in_words(option.default)) + r"[.,] ?", default), name


def test_the_constructors_docstring_says_of_each_the_first_of_what_its_home_says() -> None:
    assert list(ARGUMENTS) == list(OPTIONS)
    for name, text in ARGUMENTS.items():
        meaning, _, default = text.partition("Defaults to ")
        whole, _, same_default = ATTRIBUTES[name].partition("Defaults to ")
        assert whole.startswith(meaning), name
        assert meaning.rstrip().endswith(".")
        assert default == same_default, name
        assert kind_of(OPTIONS[name]).unit in meaning.lower(), name


def test_the_readmes_table_has_each_with_its_unit_and_default() -> None:
    found = rows()
    assert set(found) == set(OPTIONS) - REQUIRED
    for name, (shown, meaning) in found.items():
        option, unit = OPTIONS[name], kind_of(OPTIONS[name]).unit
        if option.default is not None:
            assert shown == in_table(name, option.default)
        assert unit in meaning or (unit and shown.endswith((" s", " KiB"))), name
