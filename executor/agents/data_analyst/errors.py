"""What can be wrong with a request or a file, said so that a person can mend it."""

from __future__ import annotations


class AnalysisError(Exception):
    """The analysis cannot be done; the message says what, why and what to do."""


class UnusableFileError(AnalysisError):
    """One file cannot be read as a table; the others may still be analysed."""
