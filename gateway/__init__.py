"""Gateway's public import path: ``gateway.core`` beside the server, ``gateway.errors`` everywhere."""
