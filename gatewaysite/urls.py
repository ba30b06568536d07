"""The addresses of the web process."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from gatewaysite import health, metrics
from gatewaysite.schema_view import SchemaView

handler400 = "gatewaysite.problem_pages.bad_request"
handler403 = "gatewaysite.problem_pages.permission_denied"
handler404 = "gatewaysite.problem_pages.page_not_found"
handler500 = "gatewaysite.problem_pages.server_error"

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
