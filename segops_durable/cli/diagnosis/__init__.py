"""What `doctor` looks at: the machine, the outbox, and the way to SegOps."""
