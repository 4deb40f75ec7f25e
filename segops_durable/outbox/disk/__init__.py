"""The bytes of an outbox, read without SQLite: its header, its log, its pages, its records.

SQLite gives up at the first thing that it cannot read, and drops the end of a log without a
word. Here each thing is read for itself, and the cost is bounded by the size of the files.
"""
