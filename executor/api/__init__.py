"""REST of tasks: their verbs, logs, files and the state of the engine."""
