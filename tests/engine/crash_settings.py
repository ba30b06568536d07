"""Everyone's settings, with the crash points on."""

from gatewaysite.settings import *  # noqa: F403

CRASH_POINTS = True
