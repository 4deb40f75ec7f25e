"""However an address is spelled, it is one; what differs on the wire stays different."""

from __future__ import annotations

import pytest

from segops_durable import ConfigurationError
from segops_durable.client.options import Options
from segops_durable.identity.api_url import checked_url, normal_url

SPELLINGS = [
    ("https://api.segops.ai", "HTTPS://API.SegOps.AI:443//"),
    ("https://api.segops.ai", "https://api.segops.ai.:0443/"),
    ("https://api.segops.ai", "https://api.segops.ai/?#"),
    ("http://localhost", "http://LOCALHOST:80/"),
    ("http://127.0.0.1:8080", "http://127.0.0.1:08080/"),
    ("https://[::1]:8443/v1", "https://[0:0:0:0:0:0:0:1]:8443/v1/"),
    ("https://xn--bcher-kva.example", "https://B\u00dcCHER.example"),
    ("https://xn--bcher-kva.example", "https://XN--bcher-kva.example."),
    ("https://h.example/a~b%2F", "https://h.example/a%7eb%2f/"),
    ("https://h.example/%C3%BC", "https://h.example/\u00fc/"),
    ("https://h.example/a/c", "https://h.example/a/./b/../c"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_spellings_of_one_address_are_one_outbox(one: str, other: str) -> None:
    assert checked_url(other, allow_insecure=False) == one
    first, second = (Options(api_url=each, api_key="sk_x").outbox_path for each in (one, other))
    assert first == second


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_a_normal_spelling_is_not_changed_again(one: str, other: str) -> None:
    assert normal_url(one) == one
    assert normal_url(normal_url(other)) == one


@pytest.mark.parametrize(
    "other",
    [
        "http://api.segops.ai",
        "https://api.segops.ai:8443",
        "https://api.segops.ai/v1",
        "https://api.segops.ai/V1",
        "https://api.segops.ai/v1//x",
        "https://eu.api.segops.ai",
    ],
)
def test_other_addresses_stay_others(other: str) -> None:
    seen = {normal_url(each) for each in ("https://api.segops.ai", "https://api.segops.ai/v1/x")}
    assert normal_url(other) not in seen


@pytest.mark.parametrize(
    "junk",
    ["", "\u00fc", "https://", "https://[", "https://h:x", "https://.", "\udcff", "http://a b"],
)
def test_what_is_no_address_is_left_as_it_was_written_down(junk: str) -> None:
    assert normal_url(junk) == junk


@pytest.mark.parametrize(
    "bad",
    ["https://h:0", "https://h:99999", "https://..", "https://h\n", "https:///x"],
)
def test_an_address_that_cannot_be_is_refused_by_name(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="api_url must"):
        checked_url(bad, allow_insecure=False)
