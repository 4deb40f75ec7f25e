"""What is kept in the database."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    """One article that was sold."""

    article = models.CharField(max_length=100)
