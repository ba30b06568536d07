"""Where the server leaves a request's body for the application: as a file, instead of in its queue."""

from __future__ import annotations

BODY = "gateway.body"
"""In a scope: the file, which the application closes."""
BODY_SIZE = "gateway.body_size"
"""In a scope: the bytes that came, of which the file has as many as may be kept."""
