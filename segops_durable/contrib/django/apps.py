"""What Django knows the application by."""

from __future__ import annotations

from django.apps import AppConfig


class SegOpsConfig(AppConfig):
    """The application, which has no models."""

    name = "segops_durable.contrib.django"
    label = "segops"  # the default would be "django"
