"""The language of this terminal."""

from __future__ import annotations

import os

from gateway.client.words import Words, language

say = Words(language(os.environ.get("LANGUAGE_CODE", "")))
