"""What the proofs share: a SegOps that writes all down, lives that are killed, and a judge."""
