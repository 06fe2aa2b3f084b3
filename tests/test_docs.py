"""What README and docs say is true: their code runs, tables are those of docs/results."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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
    "page", ["docs/index.md", "docs/extending.md", "docs/evaluation.md", "docs/robustness.md"]
)
def test_the_pages_examples_run(page):
    names = {}
    assert snippets(page)
    for snippet in snippets(page):
        exec(snippet, names)


def test_tables_are_those_of_the_results():
    if not (ROOT / "docs/results/digits.json").is_file():
        pytest.skip("docs/results/digits.json is absent: run benchmarks/recipes.py")
    check = [sys.executable, str(ROOT / "benchmarks/tables.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
