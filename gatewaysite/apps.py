"""The wiring itself as a Django app, so that its management commands are found."""

from django.apps import AppConfig


class GatewaySiteConfig(AppConfig):
    name = "gatewaysite"
    verbose_name = "Gateway"
