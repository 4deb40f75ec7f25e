"""Whoever annotates their own code with what the client takes and gives can import it."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import segops_durable
from segops_durable import SegOpsClient
from support.annotations import is_documented, own_names
from support.docstrings import section

GIVEN_BACK = {"Prepared", "Source"}
"""Made by one call and given to another: nobody else looks into them."""

CLASSES = [
    found
    for name in segops_durable.__all__
    if isinstance(found := getattr(segops_durable, name), type) and name not in GIVEN_BACK
]

MADE_BY_US = {"Importer.__init__"}
"""What only the package itself calls."""


def test_the_names_are_sorted_and_documented() -> None:
    names = segops_durable.__all__
    assert names == sorted(set(names))
    assert [each for each in names if each != "__version__" and not is_documented(each)] == []


@pytest.mark.parametrize("public", CLASSES)
def test_every_type_in_a_public_signature_is_public(public: type) -> None:
    private = {
        (member, name)
        for member, name in own_names(public)
        if name not in segops_durable.__all__ and member not in MADE_BY_US
    }
    assert private == set()


@pytest.mark.parametrize("public", [each for each in CLASSES if dataclasses.is_dataclass(each)])
def test_every_field_is_documented(public: type) -> None:
    names = [each.name for each in dataclasses.fields(public)]
    assert names in (list(section(public, "Attributes")), list(section(public, "Args")))


@pytest.mark.parametrize("public", CLASSES)
def test_every_argument_of_a_public_call_is_documented(public: type) -> None:
    for name, call in inspect.getmembers(public, inspect.isroutine):
        module = getattr(call, "__module__", None) or ""
        if name.startswith("_") or not module.startswith("segops_durable"):
            continue
        names = [each for each in inspect.signature(call).parameters if each != "self"]
        assert list(section(call, "Args")) == names, name


def test_help_shows_every_call_of_a_client() -> None:
    calls = {name for name in dir(SegOpsClient) if not name.startswith("_")}
    assert calls == {
        *("track", "track_many", "identify", "import_events", "import_rejected", "importer"),
        *("checkpoint", "flush", "shutdown", "close", "stats", "from_env", "of"),
        *("anonymous_id", "reset", "reset_session", "forget", "set_api_key"),
        *("dead_letters", "retry_dead_letters", "discard_dead_letters"),
    }
