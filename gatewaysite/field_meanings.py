"""What each field of an agent type's file means, for the table in the documents."""

MEANINGS: dict[str, str] = {
    "name": "The agent type's name; the same as the file's.",
    "title": "What people see.",
    "description": "One or two sentences on what it does.",
    "runner.kind": "How a run is started. There is one kind today.",
    "runner.entrypoint": "`module:function`; found beside `manage.py` and in `GATEWAY_CONFIG_DIR/agents`.",
    "runner.python": "Another interpreter (3.11 or newer) to run it with; its path.",
    "limits.timeout_seconds": "Running time of one attempt.",
    "limits.max_attempts": "Attempts that may end by error, timeout or a lost worker; 1 to 100.",
    "limits.retry_on": "After which ends the task is tried again.",
    "limits.retry_delay_seconds": "The wait before the second attempt; doubled each time, at most an hour.",
    "limits.max_running": "Tasks of this type that may run at once, on all workers together.",
    "limits.grace_seconds": "How long a run has to stop by itself before it is killed.",
    "limits.output_mb": "What a child process may write in all, in MiB.",
    "settings": "Free; given to the agent as `ctx.settings`.",
    "env": "Variables of the child process, beside [the allow-list](#what-an-agent-sees-of-the-environment).",
    "input_schema": "JSON Schema of the task's `input`; what does not match is refused when it is submitted.",
    "enabled": "Whether its tasks may start.",
}
