"""Tasks."""

from executor.task_manager import TaskManager

__all__ = ["TaskManager"]
