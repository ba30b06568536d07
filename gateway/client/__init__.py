"""Clients of a Gateway server."""
