"""Executor: tasks, their scheduling and their execution on Django-Q2 workers."""
