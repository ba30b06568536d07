"""The admin's index without Django-Q2's own pages: its Schedule can call any function of the process."""

from __future__ import annotations

from django.contrib import admin
from django_q.models import Failure, OrmQ, Schedule, Success

for model in (Schedule, OrmQ, Success, Failure):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
admin.site.site_header = admin.site.site_title = "Gateway"
