"""What Gateway says in a terminal, in English and 简体中文."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from gateway.client import words_of_command

if TYPE_CHECKING:
    from collections.abc import Mapping

Language = Literal["en", "zh"]

CHINESE: dict[str, str] = words_of_command.CHINESE | {
    # a task's live view
    "pending": "排队中",
    "running": "运行中",
    "waiting": "等待中",
    "cancelling": "正在取消",
    "completed": "已完成",
    "failed": "失败",
    "cancelled": "已取消",
    "Attempt {number} failed: {message}": "第 {number} 次尝试失败：{message}",
    "Trying again at {time}.": "将于 {time} 重试。",
    "What to do: {hint}": "怎么办：{hint}",
    "{count} log lines were dropped.": "丢弃了 {count} 行日志。",
    # manage.py sample
    "The sample task": "示例任务",
    "Result": "结果",
    "Files": "文件",
    "file": "文件",
    "size": "大小",
    "what": "说明",
    "They are in {path}": "位于 {path}",
    "The sample task has not finished within {seconds} s: {status}.": "示例任务在 {seconds} 秒内没有完成：{status}。",
    # manage.py up
    "Preparing the database …": "正在准备数据库 …",
    "Made for this installation, shown once (kept in {path}):": "为本次安装生成，仅显示一次（保存在 {path}）：",
    "admin password": "管理员密码",
    "API key": "API 密钥",
    "To open": "可以打开",
    "Admin": "管理后台",
    "Tasks": "任务",
    "Health": "健康检查",
    "sign in as {name}, password in {path}": "用户名 {name}，密码在 {path}",
    "Ctrl-C stops everything.": "按 Ctrl-C 停止全部进程。",
    "Stopping: running tasks may take {seconds} s to finish, then they are given back. Ctrl-C again: at once.": (
        "正在停止：运行中的任务有 {seconds} 秒完成，之后交还队列。再按一次 Ctrl-C 立即停止。"
    ),
    "Stopped.": "已停止。",
    "The {name} process ended (code {code}); starting it again.": "{name} 进程已退出（代码 {code}），正在重启。",
    "Not ready after {seconds} s; {url} says: {answer}": "{seconds} 秒后仍未就绪；{url} 的回答：{answer}",
    # manage.py doctor
    "data directory": "数据目录",
    "disk space": "磁盘空间",
    "database": "数据库",
    "worker": "工作进程",
    "clock": "时钟进程",
    "alive": "在运行",
    "valid": "有效",
    "none is alive: no task starts": "没有在运行的进程：任务不会启动",
    "Free some space, or move GATEWAY_DATA_DIR.": "请清理空间，或更换 GATEWAY_DATA_DIR。",
    "Let this user write it.": "请让当前用户可以写入。",
    "Check DATABASE_URL and that the server runs.": "请检查 DATABASE_URL 以及数据库服务是否在运行。",
    "Mend the file, then: python manage.py config reload": "修正文件，然后运行：python manage.py config reload",
    "Run Gateway for others on Linux; only there does the kernel end orphaned processes.": (
        "正式使用请在 Linux 上运行：只有 Linux 内核会清理孤儿进程。"
    ),
}


def language(preferred: str = "", environment: Mapping[str, str] = os.environ) -> Language:
    """The terminal's language: ``preferred`` ("en", "zh-hans") if given, else what the locale says."""
    spoken = preferred or next(
        (environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "en"
    )
    return "zh" if spoken.lower().startswith("zh") else "en"


class Words:
    """Says sentences in one language: ``words("Stopped.")``; values are given by name."""

    def __init__(self, spoken: Language) -> None:
        self.language = spoken

    def __call__(self, sentence: str, **values: object) -> str:
        text = CHINESE.get(sentence, sentence) if self.language == "zh" else sentence
        return text.format(**values) if values else text
