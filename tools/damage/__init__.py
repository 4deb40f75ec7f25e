"""What `fuzz_damage.py` shares: outboxes to damage, machines that use them, and trials."""
