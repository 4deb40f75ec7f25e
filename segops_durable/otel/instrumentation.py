"""Where a client is connected with what measures it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from opentelemetry.metrics import get_meter
from opentelemetry.trace import get_tracer

from segops_durable._version import __version__
from segops_durable.api import Watch
from segops_durable.client import SegOpsClient
from segops_durable.errors import ConfigurationError
from segops_durable.errors.plain_text import shown
from segops_durable.otel.origins import Origins
from segops_durable.otel.sends import Measures, Sends
from segops_durable.otel.standing import Standing

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from segops_durable.aio import AsyncSegOpsClient

_NAME = "segops_durable"
_PROVIDER = "a provider of OpenTelemetry"


def instrument(
    client: SegOpsClient | AsyncSegOpsClient,
    *,
    trace: bool = False,
    meter_provider: MeterProvider | None = None,
    tracer_provider: TracerProvider | None = None,
) -> None:
    """Have a client measured from now on, until it is shut down; also in children of a fork.

    Called again, what is given then holds. Nothing that a metric or a span says names a user,
    or is of an event. What goes wrong in an SDK is logged once, and ends no round of sending.

    Args:
        client: The client; an asynchronous one has to be started before.
        trace: Link the span of each request to the spans that were current when its events were
            tracked. These are known to this process alone, of the 10,000 events that were tracked
            last, and until it ends. Defaults to False.
        meter_provider: What makes the meter. Defaults to the global one.
        tracer_provider: What makes the tracer. Defaults to the global one.

    Raises:
        ConfigurationError: It is no client, or an asynchronous one that is not started; or what
            is given as a provider is none.
    """
    _check(client, trace, meter_provider, tracer_provider)
    # what a loop's client stores and sends by is a client of this kind within it
    opened = client if isinstance(client, SegOpsClient) else client._inner  # noqa: SLF001 - of our own package, as below
    if opened is None:
        raise ConfigurationError(
            "the client cannot be measured before it is started",
            field="client",
            hint="await client.start(), then instrument(client)",
        )
    instruments = _instruments_of(meter_provider)
    tracer = get_tracer(_NAME, __version__, tracer_provider)
    origins = Origins() if trace else None
    options = opened._options  # noqa: SLF001
    sends = Sends(options.api_url, instruments.measures, tracer, origins)
    opened._look_on(Watch(sends), None if origins is None else origins.remember)  # noqa: SLF001
    instruments.standing.add(opened, str(options.outbox_path))


def _check(client: object, trace: object, meters: object, tracers: object) -> None:
    for name, is_right, what, value in (
        ("client", hasattr(client, "_look_on") or hasattr(client, "_inner"), "a client", client),
        ("trace", isinstance(trace, bool), "True or False", trace),
        ("meter_provider", meters is None or hasattr(meters, "get_meter"), _PROVIDER, meters),
        ("tracer_provider", tracers is None or hasattr(tracers, "get_tracer"), _PROVIDER, tracers),
    ):
        if not is_right:
            raise ConfigurationError(f"{name} must be {what}, got {shown(value)}", field=name)


class _Instruments:
    """What one provider of meters has made for all clients: of two of a name an SDK warns."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = get_meter(_NAME, __version__, provider)
        self.standing = Standing(meter)
        self.measures = Measures(meter)


class _Global:
    """In place of the provider that is the global one, now or once it is set."""


_GLOBAL = _Global()
_made: weakref.WeakKeyDictionary[object, _Instruments] = weakref.WeakKeyDictionary()


def _instruments_of(provider: MeterProvider | None) -> _Instruments:
    # without a lock, which a fork could leave shut: two threads that are the first at one instant
    # would make two sets, of which an SDK warns
    key = _GLOBAL if provider is None else provider
    found = _made.get(key)
    if found is None:
        found = _made[key] = _Instruments(provider)
    return found
