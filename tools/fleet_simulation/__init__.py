"""A fleet that comes back from an outage, and one plan's limit for all of it.

What is real: each device is an outbox (an SQLite file), with the intake that has stored its
events, and the flusher, sender, pacer, retries and back-off that `client.wiring` puts together for
every client. Each request is a `requests` session's own, and each answer a response of HTTP: its
status, its ``Retry-After`` and its JSON are read, judged and settled as ever. The limit is the
sandbox's.

What is not: time. A clock that moves takes the place of the machine's, and whatever is waited for,
for a round, a retry, a turn or an answer, hands over to whoever comes next in its order. Chance:
each device draws from a generator of its own, which is seeded. The wire: an adapter of the session
answers in process, after 100 to 200 ms of the moved clock, and refuses connections in the outage.
And the outage is not sat through: the events of it are stored at once, with the times that they
would have, and of the outage its last minutes are run, in which the back-off reaches its longest.
Nothing is tracked after it, and nobody knocks from other processes of a device.

- `main` runs one variant after the other, `options` says which.
- `simulation` goes through time in steps, and lets `groups` of devices run: each is a process
  (`group`), as no process may open files for 10,000 outboxes.
- `device` is one device, `wire` what it sends over, `loop` whose turn it is, by the moved clock.
- `segops` is what answers them, and checks what came.
- `figures` is what came of it, and `report` and `plot` show it.
"""

from __future__ import annotations
