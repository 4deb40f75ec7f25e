from __future__ import annotations

import importlib.metadata
import pickle
import subprocess
import sys

import pytest
import segops

import segops_durable
from segops_durable import cli, errors, sign_user_id


def test_the_public_names_are_pinned() -> None:
    assert segops_durable.__all__ == [
        "BlockedLoopWarning",
        "BusyOutboxError",
        "Cast",
        "Cause",
        "ChangedFileError",
        "CheckpointConflictError",
        "ClosedError",
        "ConfigurationError",
        "Context",
        "CopiedOutboxError",
        "CredentialsError",
        "DamagedCheckpointError",
        "DamagedEventError",
        "DamagedOutboxError",
        "DeadLetter",
        "DeliveryError",
        "DroppedEventsError",
        "Durability",
        "ErasedTooLateError",
        "Event",
        "EventKind",
        "ExpiredEventsError",
        "FieldMap",
        "FileOptions",
        "FlushResult",
        "GateError",
        "IdentityError",
        "ImportResult",
        "ImportStoppedError",
        "Importer",
        "InvalidEventError",
        "KafkaGapError",
        "KafkaStoppedError",
        "KeyKindError",
        "Mended",
        "MendedOutboxError",
        "Nan",
        "NoThreadError",
        "NotSegOpsError",
        "Options",
        "OutboxIn",
        "Overflow",
        "PendingEventsError",
        "Prepared",
        "Progress",
        "QueueFullError",
        "RateLimitedError",
        "RefusedError",
        "ReplacedOutboxError",
        "SegOpsClient",
        "SegOpsError",
        "SkippedEventsError",
        "Source",
        "State",
        "Stats",
        "StorageError",
        "StrandedEventsError",
        "TimeUnit",
        "UncopyableClientError",
        "UnreachableError",
        "UserContext",
        "WrongAddressError",
        "WrongLoopError",
        "__version__",
        "open_sources",
        "outbox_in",
        "sign_user_id",
        "verify_user_id",
    ]
    assert set(segops.__all__) <= set(segops_durable.__all__)
    for name in segops_durable.__all__:
        assert hasattr(segops_durable, name)


def test_the_version_is_the_distributions() -> None:
    assert segops_durable.__version__ == importlib.metadata.version("segops-durable")


def test_a_signature_is_the_official_clients() -> None:
    secret = "0f" * 32
    assert sign_user_id(secret, "u-1", 1_700_000_000) == segops.sign_user_id(
        secret, "u-1", 1_700_000_000
    )
    assert sign_user_id(secret, "u-1")["user_id"] == "u-1"


def test_a_secret_that_is_not_hexadecimal_is_refused_and_not_repeated() -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        sign_user_id("not hex", "u-1")
    assert "not hex" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        errors.ConfigurationError("m", field="f", hint="h"),
        errors.StorageError("m", path="p", hint="h"),
        errors.PendingEventsError(pending=3, dead=1, lost=2),
        errors.DroppedEventsError("m", dropped=3, hint="h"),
        errors.ExpiredEventsError("m", expired=3, hint="h"),
        errors.DamagedOutboxError("m", path="p", saved=3, lost=None, hint="h"),
        errors.MendedOutboxError("m", path="p", lost=3, hint="h"),
        errors.DamagedCheckpointError("m", path="p", job="j", hint="h"),
        errors.UnreachableError("m", batch_size=20, attempts=4, status=503),
    ],
)
def test_errors_keep_their_data_through_pickling(error: errors.SegOpsError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def test_the_command_line_is_a_group_of_click_that_others_may_take_in() -> None:
    assert "import" in cli.run.commands


@pytest.mark.parametrize(
    ("missing", "code", "said"),
    [
        ("click", "from segops_durable.__main__ import main; main()", "segops-durable[cli]"),
        ("uvicorn", "import segops_durable.sandbox", "segops-durable[sandbox]"),
    ],
)
def test_where_an_extra_is_missing_it_is_named(missing: str, code: str, said: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules[{missing!r}] = None; {code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert f"{missing} is not installed" in last
    assert last.endswith(f'pip install "{said}"')
