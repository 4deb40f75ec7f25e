"""What the benchmark is made of: contenders, jobs in processes of their own, rows, and a report."""
