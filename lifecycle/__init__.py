"""Lifecycle: traces, workspaces and agent types with their versions; who may see which of them."""
