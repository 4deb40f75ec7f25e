"""Making a new outbox of what is left of a damaged one."""
