"""Puts a demo round's verdict, as the command printed it, between the README's two marks, with when and where it ran.

python docs/pictures/write_verdict.py REPORT.json VERDICT.txt README.md
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- demo: begin -->", "<!-- demo: end -->"
_PATHS = re.compile(r"^(Report card: |Round: r-[0-9a-f-]+, in ).*?(?=rounds/)", re.MULTILINE)
_LAST = re.compile(r"\nIt was finished before.*", re.DOTALL)


def block(report: dict[str, Any], verdict: str) -> str:
    """What stands between the marks."""
    round_, environment, training = report["round"], report["environment"], report["training"]
    minutes, seconds = divmod(round(round_["seconds"]), 60)
    shown = _LAST.sub("", _PATHS.sub(r"\g<1>.tunesmith/", verdict.strip()))
    threads = f"{training['threads']} thread" + ("s" if training["threads"] != 1 else "")
    return (
        f"```text\n{shown}\n```\n\n"
        f"Round of {round_['finished'][:10]}: {minutes} min {seconds} s on {threads} of {environment['cpu']}, "
        f"{training['tokens_in_rows']:,} tokens of training rows ({training['tokens_computed']:,} computed, padding included), "
        f"at most {round_['peak_mib']:,.0f} MiB of memory."
    )


def main(report: str, verdict: str, page: str) -> None:
    """Replace what stands between the marks; ValueError where they are not there."""
    before, begin, rest = Path(page).read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the marks {BEGIN} and {END}")
    made = block(json.loads(Path(report).read_text(encoding="utf-8")), Path(verdict).read_text(encoding="utf-8"))
    Path(page).write_text(f"{before}{begin}\n{made}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
