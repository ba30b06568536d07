"""The addresses of the executor's REST."""

from django.urls import path

from executor.api import artifacts, engine, events, tasks

urlpatterns = [
    path("traces/<str:trace_id>/tasks", tasks.TraceTasksView.as_view()),
    path("tasks", tasks.TasksView.as_view()),
    path("tasks/bulk", tasks.BulkView.as_view()),
    path("tasks/<str:task_id>", tasks.TaskView.as_view()),
    path("tasks/<str:task_id>/cancel", tasks.CancelTaskView.as_view()),
    path("tasks/<str:task_id>/retry", tasks.RetryTaskView.as_view()),
    path("tasks/<str:task_id>/share", tasks.ShareTaskView.as_view()),
    path("tasks/<str:task_id>/events", events.EventsView.as_view()),
    path("tasks/<str:task_id>/stream", events.StreamView.as_view()),
    path("tasks/<str:task_id>/artifacts", artifacts.ArtifactsView.as_view()),
    path("tasks/<str:task_id>/artifacts/<str:artifact_id>", artifacts.ArtifactView.as_view()),
    path("stats", engine.StatsView.as_view()),
    path("pause", engine.PauseView.as_view()),
    path("resume", engine.ResumeView.as_view()),
]
