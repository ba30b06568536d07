"""Run by path in a fresh interpreter: tells whether ``module:function`` exists and is a coroutine function.

Standard library only: the interpreter may be any Python that a site names. Prints one JSON object,
``{"async": bool}`` or ``{"problem": "…"}``; whatever the module itself prints goes to stderr.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys


def probe(entrypoint: str) -> dict[str, object]:
    module_name, _, function_name = entrypoint.partition(":")
    try:
        module = importlib.import_module(module_name)
    except BaseException as exc:
        return {"problem": f"{module_name} cannot be imported: {type(exc).__name__}: {exc}"}
    function = getattr(module, function_name, None)
    if not callable(function):
        return {"problem": f"{module_name} has no function '{function_name}'"}
    return {"async": inspect.iscoroutinefunction(function)}


if __name__ == "__main__":
    sys.path[:1] = sys.argv[2:]  # in place of this file's own folder
    answer_to = os.dup(1)
    os.dup2(2, 1)
    os.write(answer_to, json.dumps(probe(sys.argv[1])).encode())
