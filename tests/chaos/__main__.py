"""`make chaos`: the long campaign, resumable.

Each case runs on a store of its own below `--home`; what is done is remembered in
`progress.jsonl` there, so an interrupted campaign goes on where it was. The home of a case that
failed is kept, that of one that passed is removed. The exit status is 1 when any case has failed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "objstore_site.settings")

import django

django.setup()

from tests.chaos.cases import Case, all_cases  # noqa: E402  # models need the registry


class Progress:
    """What has been done so far, a line per case."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def outcomes(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        lines = [json.loads(line) for line in self._path.read_text().splitlines()]
        return {line["case"]: line["outcome"] for line in lines}

    def note(self, case: str, outcome: str, seconds: float, detail: str) -> None:
        line = {"case": case, "outcome": outcome, "seconds": round(seconds), "detail": detail}
        with self._path.open("a") as out:
            out.write(json.dumps(line) + "\n")
            out.flush()
            os.fsync(out.fileno())


def run(case: Case, folder: Path, progress: Progress) -> None:
    home = folder / case.name
    shutil.rmtree(home, ignore_errors=True)
    began = time.monotonic()
    try:
        outcome, detail = "passed", case.run(home)
        shutil.rmtree(home, ignore_errors=True)
    except Exception:
        # Where and why, then what the store's logs said last.
        story = traceback.format_exc()
        outcome, detail = "failed", story if len(story) < 9000 else story[:6000] + story[-3000:]
    seconds = time.monotonic() - began
    progress.note(case.name, outcome, seconds, detail)
    print(f"{case.name}: {outcome} after {seconds:.0f} s\n  {detail}", flush=True)


def main() -> int:
    # So that the store of the case at hand is stopped as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--home", type=Path, help="where stores and progress are kept")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="run these, done before or not")
    parser.add_argument("--list", action="store_true", help="the cases, and what is known of them")
    arguments = parser.parse_args()
    folder = arguments.home or Path(tempfile.gettempdir()) / "objstore-chaos"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    progress = Progress(folder / "progress.jsonl")
    cases = all_cases()
    if arguments.list:
        known = progress.outcomes()
        for case in cases:
            print(f"{case.name:20} {known.get(case.name, 'to do')}")
        return 0
    unknown = set(arguments.only or ()) - {case.name for case in cases}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    for case in cases:
        passed = progress.outcomes().get(case.name) == "passed"
        if case.name in arguments.only if arguments.only else not passed:
            run(case, folder, progress)
    outcomes = progress.outcomes()
    print(f"{sum(o == 'passed' for o in outcomes.values())} of {len(cases)} cases passed; {folder}")
    return 1 if "failed" in outcomes.values() else 0


if __name__ == "__main__":
    sys.exit(main())
