"""What the machine gives: clocks, threads and locks, files and their descriptors, hosts.

Each room is one thing, does not know SegOps, and is entered by its name:

- `clock` (waits, and when something happened), `bell` (what wakes a thread), `worker` (a thread),
  `pulse` (whether one gets on), `knocks` (what wakes another process).
- `locks` (among threads), `filelock` (among processes), `holders` (who holds such a lock).
- `living` (objects that are known as long as they live).
- `trusted_paths` (what is at a path, and whose), `private_files` (made and opened for its owner
  alone), `descriptors` (whether one is still what was opened).
- `hosts` (which are this machine itself), `on_demand` (when the interpreter loads what).
"""
