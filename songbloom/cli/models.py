"""``songbloom models``: what there is, how large, how long its songs are, under which licence, and where."""

from __future__ import annotations

import argparse
import json

from songbloom.checkpoints.registry import DEFAULT_LOCAL_DIR, Row, find, table
from songbloom.cli.terminal import DONE, Parser, write_line


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog, "List the known models and whether they are present.")
    parser.add_argument("--local-dir", default=DEFAULT_LOCAL_DIR, help="where to look (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def run(options: argparse.Namespace) -> int:
    rows = table(options.local_dir)
    if options.json:
        for row in rows:
            write_line(json.dumps({**row._asdict(), "present": str(row.present) if row.present else None}))
    else:
        write_line("\n\n".join(_described(row) for row in rows))
    return DONE


def _described(row: Row) -> str:
    sizes = [f"{_count(row.parameters)} parameters"] if row.parameters else []
    if row.size_bytes:
        sizes.append(f"{'' if row.present else 'about '}{_bytes(row.size_bytes)}")
    facts = [*sizes, f"songs up to {row.longest_s:g} s"]
    how = "install the package again" if find(row.name).bundled else f"songbloom download {row.name}"
    return "\n".join(
        [
            f"{row.name}: {row.description}",
            f"  {', '.join(facts)}",
            f"  licence: {row.licence}",
            f"  present: {row.present or f'no; {how}'}",
        ]
    )


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.2f} B" if parameters >= 1e9 else f"{parameters / 1e6:.0f} M"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
