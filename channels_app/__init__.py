"""Channels: live updates to browsers and the outside chat channels."""
