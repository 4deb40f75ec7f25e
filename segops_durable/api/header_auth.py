"""The Authorization header, where nothing replaces it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from requests.auth import AuthBase

if TYPE_CHECKING:
    import requests


class HeaderAuth(AuthBase):
    """Sets the Authorization header last, where ``~/.netrc`` can no longer replace it.

    Attributes:
        value: The header's value.
    """

    def __init__(self, scheme: str, credential: str) -> None:
        self.value: str = f"{scheme} {credential}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Authorise a request that is ready to be sent."""
        request.headers["Authorization"] = self.value
        return request

    def __repr__(self) -> str:
        return "HeaderAuth(…)"
