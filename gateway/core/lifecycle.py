"""Traces, workspaces and agent types."""

from lifecycle.agent_type_manager import AgentTypeManager
from lifecycle.trace_manager import TraceManager
from lifecycle.workspace_manager import WorkspaceManager

__all__ = ["AgentTypeManager", "TraceManager", "WorkspaceManager"]
