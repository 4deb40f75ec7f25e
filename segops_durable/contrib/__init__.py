"""What frameworks need that no page of documentation can give them.

Each has an extra of its name: ``pip install "segops-durable[django]"``.
"""

from __future__ import annotations
