"""The reporting checklist: which items of CLAIM 2024 and TRIPOD+AI a study fills, and what its author must still say.

rows = checklist(summary, statements)      one dict an item, of plain values
count_line(rows)                           how many are filled, stated, open
unstated_yaml(rows)                        what to add to the study file
checklist_markdown(rows)                   the whole for a supplement
checklist_section(summary)                 what templates/checklist.html.j2 calls `checklist`
"""

import json
from typing import Any

from diascope.config import ReportConfig
from diascope.report.checklist.fact import Summary
from diascope.report.checklist.rows import STATUSES, checklist, checklist_markdown, count_line, unstated_yaml

__all__ = ["STATUSES", "checklist", "checklist_markdown", "checklist_section", "count_line", "unstated_yaml"]


def checklist_section(summary: Summary) -> dict[str, Any]:
    """Rows, count line and YAML for the page; the user's statements are those of the study that was summarized."""
    report = summary["study"]["config"].get("report") or {}
    rows = checklist(summary, ReportConfig.model_validate_json(json.dumps(report)))
    return {"rows": rows, "count": count_line(rows), "yaml": unstated_yaml(rows)}
