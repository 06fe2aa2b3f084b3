"""The table to paste, and what a reader should not miss."""

import re
from html import unescape

import pytest

from jemstone.report.reproduction import table_markdown
from jemstone.report.reproduction.headline import Order, findings, headline, orders
from jemstone.report.reproduction.matrix import PAPERS, matrix_markdown
from jemstone.report.reproduction.words import amount, score


def check_markdown(table, result):
    body, _, notes = table.partition("\n\n")
    heads, rule, *rows = body.split("\n")
    columns = [len(re.split(r"(?<!\\)\|", line)) for line in (heads, rule, *rows)]
    assert set(columns) == {columns[0]}
    unconditional = [row for row in result["rows"] if row.get("unconditional")]
    references = result.get("references") or ()
    assert len(rows) == len(result["rows"]) + len(unconditional) + len(references)
    assert notes.count("\n") == 1
    return rows, notes


@pytest.mark.parametrize("seeds", [(0, 1, 2), (4,)], ids=["three", "one"])
def test_the_table_to_paste_has_a_line_for_each_row(reproduction, variant, seeds):
    result = variant(reproduction(seeds))
    rows, notes = check_markdown(table_markdown(result), result)
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in rows}
    for row in result["rows"]:
        line = lines[row["model"]]
        assert f"*{row['paper']['is']:.2f}*" in line
        assert (row["status"] in line) == (row["status"] != "done")
        if row["fid"] is not None:
            assert f" {score(row['fid'])} |" in line
        if row["status"] != "done":
            assert row["error"] in notes
    told = ("compare with each other, not with the paper's", amount(result["samples"]), "digits")
    assert all(words in notes for words in (*told, result["features"]))
    assert ("one seed" in notes) == (len(seeds) == 1)


def test_a_lost_seed_is_counted_and_named(reproduction):
    result = reproduction()
    row = next(row for row in result["rows"] if row["id"] == "robust-jem-energy")
    row |= {"seeds": [0, 2], "failed_seeds": {"1": "out of its mind"}}
    rows, notes = check_markdown(table_markdown(result), result)
    assert any("energy only" in row and row.endswith("| 2 of 3 |") for row in rows)
    assert "seed 1, is left out: out of its mind" in notes


def test_inception_figures_are_not_said_to_be_a_judges(reproduction):
    result = reproduction() | {"features": "inception (torch-fidelity)"}
    assert "not with the paper's" not in table_markdown(result)


def test_the_findings_name_cells_that_the_paper_has_not_and_rows_below_their_init(reproduction):
    result = reproduction()
    told = " ".join(findings(result))
    assert "robust classifier under energy" in told
    beaten = told.partition("does no worse than ")[2]
    assert "JEM++" in beaten
    assert "energy only" not in beaten
    for cell in result["matrix"]:
        if (cell["network"], cell["sampler"]) not in PAPERS:
            cell["fid"] = cell["is"] = None
    assert "cell" not in " ".join(findings(result))
    assert "3 hold, 1 fails and 2 are inconclusive, over 3 seeds" in headline(result)


def test_words_of_others_stay_in_their_cells(reproduction, defaced):
    result = defaced(reproduction())
    table = table_markdown(result)
    assert "<" not in table
    assert "<script>" in unescape(table)
    check_markdown(table, result)


def test_the_matrix_to_paste_has_a_line_for_each_cell_and_control(reproduction, variant):
    result = variant(reproduction((0, 1, 2)))
    heads, rule, *rows = matrix_markdown(result).split("\n")
    assert {line.count("|") for line in (heads, rule, *rows)} == {heads.count("|")}
    cells = [*(result.get("matrix") or ()), *(result.get("controls") or ())]
    assert len(rows) == len(cells)
    for cell, row in zip(cells, rows, strict=True):
        assert ("**" in row) == ((cell["network"], cell["sampler"]) in PAPERS)
        assert f"| {score(cell['fid'])} |" in row or cell["status"] != "done"


def test_two_orders_agree_in_the_pairs_that_are_the_same_way_round(reproduction):
    result = reproduction((0, 1, 2))
    four = [row for row in result["rows"] if row["sampler"] != "flow"]
    for row in four:
        row["fid"], row["is"] = {"mean": row["paper"]["fid"]}, {"mean": -row["paper"]["is"]}
    found = orders(result)
    names = [row["id"] for row in sorted(four, key=lambda row: row["paper"]["fid"])]
    assert found["fid"] == Order(names, names, 6, 6)
    assert found["is"].measured == found["is"].printed[::-1]
    assert (found["is"].agree, found["is"].pairs) == (0, 6)
    assert any("Of 6 pairs 6 are the same way round" in line for line in findings(result))
    four[0]["status"] = "diverged"
    assert orders(result) == {}
