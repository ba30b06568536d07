"""One run of the data analyst on files, for its tests."""

from __future__ import annotations

import json

from executor.agents.data_analyst import run
from tests.agents.recording_context import RecordingContext

SALES = "日期,地区,销售额\n2024-01-05,华东,100\n2024-02-06,华南,250.5\n2024-02-07,华东,49.5\n"


class Run:
    """One run of the agent on files, and all that came of it."""

    def __init__(self, folder, files, description="Analyse the data", **kwargs):
        self.folder = folder
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.ctx = RecordingContext(folder, description, **kwargs)
        self.result = run(self.ctx)
        self.report = (folder / "analysis/report.md").read_text(encoding="utf-8")
        self.summary = json.loads((folder / "analysis/summary.json").read_text(encoding="utf-8"))
        self.file = self.summary["files"][0]
        self.columns = {column["name"]: column for column in self.file["columns"]}

    @property
    def kinds(self):
        return {name: column["kind"] for name, column in self.columns.items()}

    @property
    def notes(self):
        return " ".join(self.file["notes"])

    def totals(self, category, measure):
        table = next(table for table in self.file["totals"] if table["category"] == category)
        return {group["value"]: group["measures"][measure] for group in table["groups"]}

    def charts(self):
        return [(self.folder / path).read_text(encoding="utf-8") for path in self.file["charts"]]
