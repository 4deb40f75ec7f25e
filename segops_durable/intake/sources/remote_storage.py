"""File systems that URLs are of, by fsspec: whatever fails there is told in our words, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from segops_durable.errors import ConfigurationError, ImportStoppedError
from segops_durable.intake.sources.extras import fsspec_module
from segops_durable.intake.sources.remote_names import know_secrets, shown_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    T = TypeVar("T")

_ATTEMPTS = 3
_FINAL = (
    ImportError,
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotImplementedError,
)


class Storage:
    """A file system that a URL is of.

    Args:
        url: The URL.
        options: What fsspec makes the file system with.

    Attributes:
        fs: The file system.
        root: The path in it.
        shown: The URL, without secrets.

    Raises:
        ConfigurationError: What it takes is not installed, or cannot be.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        know_secrets(url, options)
        self.shown: str = shown_url(url)
        self._url = url
        self.fs: Any = None
        self.root: str = ""
        core = fsspec_module("fsspec.core")
        # what is listed would be kept, and a file that was changed not be noticed
        more = {} if "::" in url else {"use_listings_cache": False}
        failure: Exception
        try:
            self.fs, self.root = core.url_to_fs(url, **{**more, **options})
        except ImportError as error:
            failure = self._needs(error)
        except Exception as error:  # noqa: BLE001 - each file system has its own
            failure = ConfigurationError(
                f"{self.shown} cannot be opened: {self.told(error)}", field="source"
            )
        else:
            return
        raise failure  # and not within: what led to it may have secrets

    def shown_path(self, path: str) -> str:
        """The URL of a path in it, without secrets."""
        if path == self.root:
            return self.shown
        return shown_url(str(self.fs.unstrip_protocol(path)))

    def ask(self, what: str, action: Callable[[], T]) -> T:
        """Ask the file system for something, and have its failures be ours.

        Args:
            what: What it is about, in words.
            action: Asks.

        Raises:
            ConfigurationError: It is not there.
            ImportStoppedError: It cannot be reached, or refuses.
        """
        failure: Exception
        again = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception(_may_pass),
            reraise=True,
        )
        try:
            return again(action)
        except FileNotFoundError:
            failure = ConfigurationError(f"there is no file {what}", field="source")
        except ImportError as error:
            failure = self._needs(error)
        except Exception as error:  # noqa: BLE001 - each file system has its own
            failure = ImportStoppedError(
                f"{what} cannot be read: {self.told(error)}",
                file=what,
                hint="What could be read of it before is stored; the same command goes on there",
            )
        raise failure

    def told(self, error: BaseException) -> str:
        """An error's words, with the URL as it may be shown."""
        text = str(error).replace(self._url, self.shown) or type(error).__name__
        return text.replace(self.root, shown_url(self.root)) if "?" in self.root else text

    def _needs(self, error: ImportError) -> ConfigurationError:
        hint = (
            "Install the package that it names: s3fs for s3://, gcsfs for gs://, adlfs for abfs://"
        )
        return ConfigurationError(f"{self.shown}: {self.told(error)}", field="source", hint=hint)


def _may_pass(error: BaseException) -> bool:
    """Whether it is worth another try."""
    return isinstance(error, Exception) and not isinstance(error, _FINAL)
