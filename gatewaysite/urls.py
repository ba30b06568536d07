"""The addresses of the web process."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from gatewaysite import health

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("api/v1/", include("lifecycle.api.urls")),
    path("api/v1/", include("executor.api.urls")),
    path("admin/", admin.site.urls),
]
