"""What README and docs say is true: their code runs, tables are those of docs/results."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from jemstone.functional.gaussian import count_numbers

ROOT = Path(__file__).parent.parent


def snippets(page):
    text = (ROOT / page).read_text()
    runnable = re.sub(r"<!-- not run:.*?-->\n```python\n.*?```", "", text, flags=re.DOTALL)
    return re.findall(r"```python\n(.*?)```", runnable, flags=re.DOTALL)


def test_the_example_turns_a_classifier_into_an_energy_model():
    names = {}
    for snippet in snippets("README.md"):
        exec(snippet, names)
    assert names["images"].shape == (10, 1, 8, 8)
    assert 0 <= names["images"].min() <= names["images"].max() <= 1
    assert names["familiar"].shape == (360,)
    assert torch.isfinite(names["familiar"]).all()


@pytest.mark.parametrize(
    "page",
    [
        "docs/index.md",
        "docs/extending.md",
        "docs/data.md",
        "docs/evaluation.md",
        "docs/robustness.md",
        "docs/studies.md",
    ],
)
def test_the_pages_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path / "cache"))
    names = {}
    assert snippets(page)
    for snippet in snippets(page):
        exec(snippet, names)


def test_the_memory_of_class_gaussians_is_as_stated():
    page = (ROOT / "docs/gaussians.md").read_text()
    heads, _, *rows = re.findall(r"^\|.*\|$", page.split("## Memory")[1].split("##")[0], re.M)
    columns = [head.strip().removeprefix("rank ") for head in heads.strip("|").split("|")]
    ranks = [None if column == "full" else int(column) for column in columns[1:]]
    assert len(rows) == 3
    for row in rows:
        classes, *stated = (int(cell.replace(",", "")) for cell in row.strip("|").split("|"))
        for rank, megabytes in zip(ranks, stated, strict=True):
            assert round(4e-6 * count_numbers(3 * 64 * 64, classes, rank)) == megabytes


def test_tables_are_those_of_the_results():
    if not (ROOT / "docs/results/digits.json").is_file():
        pytest.skip("docs/results/digits.json is absent: run benchmarks/recipes.py")
    check = [sys.executable, str(ROOT / "benchmarks/tables.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
