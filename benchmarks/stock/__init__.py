"""The peer: Django-Q2 as it comes, with its ORM broker on SQLite, as a project of its own."""
