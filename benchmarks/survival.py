"""Put runs, files and command lines through what they must survive, and keep the counts.

    python benchmarks/survival.py --out docs/results/survival.json
    python benchmarks/survival.py --out docs/results/survival.json --only killed faults

Each row is a test of `make stress`, run alone; a row that is measured again replaces the former
one, and each names the state of the code that it was measured on.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import torch
from state import command, commit

from jemstone.files import read_json, write_json
from jemstone.training import processor

ROOT = Path(__file__).parent.parent
# By name: what is done, how often it was asked for, the test, and the property that counts it;
# without one, the test's cases are counted.
ROWS = {
    "killed": (
        "runs killed at random instants, gone on with, bitwise equal to the uninterrupted run",
        20,
        "tests/stress/test_survival.py::test_a_run_killed_at_any_instant_ends_as_if_never_killed",
        None,
    ),
    "faults": (
        "faults while a checkpoint is saved (killed, disk full, folder closed, folder gone), none "
        "of which loses one",
        20,
        "tests/training/test_faults.py::test_a_fault_while_saving_loses_no_checkpoint",
        "faults",
    ),
    "growth": (
        "steps of a tiny network without growth in memory or open files",
        10_000,
        "tests/experiments/test_hygiene.py::test_memory_files_and_the_folder_stay_as_they_were",
        "steps",
    ),
    "exits": (
        "trainings by two processes that leave quietly",
        50,
        "tests/stress/test_processes.py::test_processes_leave_quietly",
        None,
    ),
    "restarts": (
        "workers killed, restarted by torchrun, whose run goes on",
        4,
        "tests/stress/test_processes.py::test_a_killed_worker_is_restarted_and_goes_on",
        None,
    ),
    "files": (
        "damaged files of a run, given to every command that reads them",
        2000,
        "tests/fuzz/test_mutations.py::test_a_damaged_run_is_told_in_one_line",
        "made",
    ),
    "archives": (
        "damaged archives of images",
        2000,
        "tests/fuzz/test_mutations.py::test_a_damaged_archive_is_told_in_one_line",
        "made",
    ),
    "weights": (
        "damaged weights: loaded as they were, or refused",
        666,
        "tests/fuzz/test_mutations.py::test_a_damaged_model_is_loaded_as_it_was_or_refused",
        "made",
    ),
    "pictures": (
        "damaged pictures",
        2000,
        "tests/fuzz/test_mutations.py::test_a_damaged_picture_is_read_or_told_in_one_line",
        "made",
    ),
    "lines": (
        "command lines of any kind: done, or one line",
        1000,
        "tests/fuzz/test_command_lines.py::test_any_line_is_done_or_told_in_one_line",
        "made",
    ),
    "processes": (
        "command lines as processes of their own",
        50,
        "tests/fuzz/test_command_lines.py::test_a_process_of_its_own_behaves_as_well",
        "made",
    ),
}


def measured(name):
    """Run one row's test, and count."""
    what, asked, test, counted = ROWS[name]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        pytest = [sys.executable, "-m", "pytest", test, "-m", "stress", "--timeout", "0", "-q"]
        subprocess.run([*pytest, f"--junitxml={report}"], cwd=ROOT, check=False)
        cases = list(ElementTree.parse(report).iter("testcase"))
    held = [case for case in cases if not any(child.tag != "properties" for child in case)]
    found = {p.get("name"): p.get("value") for case in held for p in case.iter("property")}
    return {
        "row": name,
        "what": what,
        "test": test,
        "asked": asked,
        "held": int(found.pop(counted, 0)) if counted else len(held),
        "cases": [case.get("name").partition("[")[2].rstrip("]") for case in cases],
        "failed": len(cases) - len(held),
        "also": found,
        "seconds": round(time.perf_counter() - began, 1),
        "commit": commit(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--only", nargs="+", default=list(ROWS), choices=list(ROWS))
    arguments = parser.parse_args()
    out, known = Path(arguments.out), {}
    if out.is_file():
        known = {row["row"]: row for row in read_json(out)["rows"]}
    commit()
    for name in arguments.only:
        known[name] = measured(name) | {"command": command()}
        rows = [known[name] for name in ROWS if name in known]
        write_json(
            out,
            {
                "seed": "fixed in each test: its cases are numbered, its draws are by their number",
                "machine": {
                    "torch": torch.__version__,
                    "python": platform.python_version(),
                    "processor": processor(),
                    "threads": os.environ.get("OMP_NUM_THREADS"),
                    "device": "cpu, fp32",
                },
                "rows": rows,
            },
        )
        row = known[name]
        print(f"{name}: {row['held']} of {row['asked']}, {row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
