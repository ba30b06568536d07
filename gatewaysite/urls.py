"""The addresses of the web process."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from gatewaysite import health, metrics
from gatewaysite.schema_view import SchemaView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("api/v1/", include("lifecycle.api.urls")),
    path("api/v1/", include("executor.api.urls")),
    path("api/schema", SchemaView.as_view()),
    path("metrics", metrics.metrics),
    path("admin/", admin.site.urls),
]
