"""The addresses."""

from rest_framework.routers import SimpleRouter

from benchmarks.plain_rest.views import EventViewSet, TaskViewSet

router = SimpleRouter(trailing_slash=False)
router.register("tasks", TaskViewSet)
router.register("tasks/(?P<task_id>[^/]+)/events", EventViewSet)
urlpatterns = router.urls
