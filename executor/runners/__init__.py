"""How attempts are run: coroutine functions on the worker's loop, plain functions in child processes."""
