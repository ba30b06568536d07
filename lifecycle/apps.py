"""The Django app of traces, workspaces and agent types."""

from django.apps import AppConfig
from django.db.models import CharField
from django.db.models.functions import Lower


class LifecycleConfig(AppConfig):
    name = "lifecycle"
    verbose_name = "Lifecycle"

    def ready(self) -> None:
        # Slugs are compared without case: `filter(id__lower=…)` uses the unique index on LOWER(id).
        CharField.register_lookup(Lower)
