"""What is written in an outbox file: its tables, and the values of their rows.

Each function here works within a transaction of its caller's; none opens a file.
"""
