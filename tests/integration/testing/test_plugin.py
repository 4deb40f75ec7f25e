"""The fixtures in runs of pytest of their own, each in a process of its own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.one_python

OFF = {"asyncio": ("-p", "no:asyncio"), "xdist": ("-p", "no:xdist")}


def run(
    pytester: pytest.Pytester, *arguments: str, plugins: Iterable[str] = ()
) -> pytest.RunResult:
    """Run pytest on what a test has written, with warnings that are errors."""
    off = [each for name, words in OFF.items() if name not in plugins for each in words]
    return pytester.runpytest_subprocess("-W", "error", *off, *arguments, timeout=200)


def test_what_was_tracked_is_seen_and_a_test_begins_with_nothing(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("""
        import pytest
        from segops_durable import Event, SegOpsClient

        @pytest.mark.parametrize("number", [1, 2])
        def test_one(number, segops_client, segops_events):
            segops_client.track(user_id="u-1", event_type="seen", payload={"n": number})
            assert segops_events.wait_for(1)[0]["payload"] == {"n": number}
            assert segops_events == [Event("u-1", "seen", payload={"n": number})]
            assert segops_events.by_user("u-2") == []

        def test_a_program_with_a_client_of_its_own(segops_sandbox, segops_events, tmp_path):
            path = tmp_path / "own.db"
            with SegOpsClient(segops_sandbox.url, "sk_own", queue_path=path) as client:
                client.track(user_id="u-2", event_type="seen")
            assert segops_events.by_type("seen").wait_for(1)[0]["user_id"] == "u-2"

        def test_a_user_of_a_device(segops_sandbox, segops_events, segops_options, tmp_path):
            client = SegOpsClient(segops_sandbox.url, "pk_a", queue_path=tmp_path / "own.db")
            client.track(user_id="somebody", event_type="seen")
            client.flush()
            assert segops_events[0]["user_id"] == client.anonymous_id
            client.shutdown()

        class TestWithOptions:
            @pytest.fixture
            def segops_options(self):
                return {"api_key": "sk_other", "batch_size": 2, "flush_interval": 600}

            def test_they_hold(self, segops_client, segops_events):
                segops_client.track_many([Event("u", "e")] * 2)  # a batch, which does not wait
                segops_events.wait_for(2)
                assert "sk_" in repr(segops_client)
    """)
    run(pytester).assert_outcomes(passed=5)


def test_segops_is_out_of_reach_and_comes_back(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from segops_durable import State, UnreachableError

        def test_nothing_is_lost(segops_client, segops_offline, segops_events):
            segops_client.track(user_id="u-1", event_type="seen")
            result = segops_client.flush()
            assert (result.sent, result.pending) == (0, 1)
            assert segops_client.stats().state in {State.BACKING_OFF, State.SENDING}  # anew
            assert isinstance(segops_client.stats().last_error, UnreachableError)
            assert segops_events == []
            segops_offline.end()
            assert segops_client.flush().ok
            assert len(segops_events) == 1
            segops_offline.begin()
            segops_client.track(user_id="u-1", event_type="seen")
            assert segops_client.flush().pending == 1
            assert len(segops_events) == 1  # what was accepted is still known
    """)
    run(pytester).assert_outcomes(passed=1)


def test_a_failure_says_what_came_and_what_did_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_other(segops_client, segops_events):
            segops_client.track(user_id="u-1", event_type="seen", payload={"n": 1})
            segops_client.flush()
            assert [{"user_id": "u-1", "payload": {"n": 2}}] == segops_events

        def test_none(segops_client, segops_events):
            segops_client.track(user_id="u-1", event_type="seen", payload={"n": 1})
            segops_client.flush()
            segops_events.by_type("bought").wait_for(1, timeout=0.01)
    """)
    result = run(pytester)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([
        "E * assert 1 events that were accepted, 1 were expected (-: expected, +: came)",
        'E * - {"payload": {"n": 2}, "user_id": "u-1"}',
        'E * + {"payload": {"n": 1}, "user_id": "u-1"}',
        "E * AssertionError: 0 events that were accepted, with the event_type 'bought' in 0.01 s*",
        "E * of all events that were accepted: seen (1)",
        "E * answers of the sandbox: 202 (1)",
    ])  # fmt: skip
    result.stdout.no_fnmatch_line("*raise AssertionError*")  # of the kit no line is shown


@pytest.mark.long
def test_the_workers_of_xdist_do_not_meet(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("number", range(12))
        def test_one(number, segops_client, segops_events, segops_offline):
            segops_client.track(user_id="u", event_type="seen", payload={"n": number})
            assert segops_client.flush().pending == 1
            segops_offline.end()
            segops_client.flush()
            assert segops_events.wait_for(1) == segops_events
            assert segops_events.payloads == [{"n": number}]
    """)
    run(pytester, "-n", "3", plugins=["xdist"]).assert_outcomes(passed=12)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_coroutines_of_pytest_asyncio_may_use_them(mode: str, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile("""
        import asyncio, pytest

        @pytest.mark.asyncio
        async def test_one(segops_client, segops_events):
            await asyncio.to_thread(segops_client.track, user_id="u", event_type="seen")
            found = await asyncio.to_thread(segops_events.wait_for, 1)
            assert [each["event_type"] for each in found] == ["seen"]
    """)
    result = run(pytester, f"--asyncio-mode={mode}", plugins=["asyncio"])
    result.assert_outcomes(passed=1)


def test_it_loads_nothing_and_starts_nothing_in_a_run_that_does_not_use_it(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("""
        import sys, threading

        def test_nothing():
            found = {each for each in sys.modules if each.startswith("segops_durable")}
            assert found == {
                "segops_durable", "segops_durable._version", "segops_durable.system",
                "segops_durable.system.on_demand", "segops_durable.testing",
                "segops_durable.testing.plugin",
            }
            assert "requests" not in sys.modules and "uvicorn" not in sys.modules
            assert threading.active_count() == 1
            assert [1] == [1.0]
    """)
    result = run(pytester, "-p", "no:timeout", "--setup-show")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*SETUP*segops*")


def test_whoever_has_loaded_the_package_before_pytest_is_not_warned(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_one(segops_client): segops_client.flush()")
    words = ["-W", "error", "-q", "-p", "no:asyncio"]
    code = f"import segops_durable.client, pytest; raise SystemExit(pytest.main({words}))"
    result = pytester.run(sys.executable, "-c", code)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*warn*")


def test_without_the_extra_it_says_what_to_install(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import sys; sys.modules['uvicorn'] = None")
    pytester.makepyfile("""
        def test_one(segops_client): ...
        def test_other(): ...
    """)
    result = run(pytester)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ['*uvicorn is not installed: pip install "segops-durable[[]testing]"*']
    )


def test_the_fixtures_are_listed_with_what_they_are(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--fixtures", "-q")
    for name in ("sandbox", "client", "events", "offline", "options"):
        result.stdout.fnmatch_lines([f"segops_{name} -- *", "    *"])
    result.stdout.no_fnmatch_line("*no docstring*segops*")


@pytest.mark.long
def test_coverage_of_what_the_plugin_loads_is_that_of_a_run_without_it(
    pytester: pytest.Pytester,
) -> None:
    """A program under test whose lines are counted has them counted, the plugin or not."""
    pytester.makepyfile(program="import segops_durable\n\n\ndef twice(n):\n    return 2 * n\n")
    pytester.makepyfile(
        "import program\n\ndef test_one(segops_events):\n    assert program.twice(2) == 4"
    )
    environment = {name: each for name, each in os.environ.items() if "COVERAGE" not in name}
    assert environment
    for words in (
        ["run", "--source=program", "-m", "pytest", "-q"],
        ["report", "--fail-under=100"],
    ):
        assert pytester.run(sys.executable, "-m", "coverage", *words).ret == 0
