"""A verdict is what the interval of the difference says, over three seeds or more."""

import pytest

from jemstone.experiments.reproduction.claims import judge_claims
from jemstone.experiments.reproduction.contrasts import CLAIMS
from jemstone.experiments.reproduction.rows import NAMES, ROWS

SURE, UNSURE = (0.0, 0.1, -0.1), (0.0, 9.0, -9.0)


def judged(values, stability=None):
    claims = judge_claims(lambda *asked: dict(enumerate(values.get(asked, []))), stability)
    return {claim["id"]: claim for claim in claims}


def around(middle, spread):
    return [middle + part for part in spread]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
@pytest.mark.parametrize(
    ("gap", "spread", "verdict"),
    [
        (1.0, SURE, "holds"),
        (-1.0, SURE, "fails"),
        (1.0, UNSURE, "inconclusive"),
        (-1.0, UNSURE, "inconclusive"),
        (1.0, SURE[:2], "inconclusive"),
        (1.0, SURE[:1], "inconclusive"),
    ],
)
def test_a_verdict_is_the_intervals(claim, gap, spread, verdict):
    sign = 1 if claim.above else -1
    values = {(*claim.first, claim.figure): around(10 + sign * gap, spread)}
    values |= {(*other, claim.figure): around(10.0, spread) for other in claim.others}
    row = judged(values)[claim.id]
    assert row["verdict"] == verdict
    assert f"{gap:+.3g}" in row["measured"]
    if len(spread) > 1:
        low, high = row["interval"]
        assert (low + high) / 2 == pytest.approx(gap, abs=1e-5)
        assert (low > 0, high < 0) == (verdict == "holds", verdict == "fails") or len(spread) < 3
    else:
        assert row["interval"] is None
        assert "1 seed" in row["measured"]


def rows_with(figure, means, spread=SURE):
    return {
        (row.network, row.sampler, figure): around(means[row.id], spread) for row in ROWS.values()
    }


def test_the_highest_is_higher_than_each_of_the_others():
    means = dict.fromkeys(ROWS, 5.0) | {"robust-jem-combined": 9.0}
    assert judged(rows_with("is", means))["combined-highest-is"]["verdict"] == "holds"
    for rival in ROWS.keys() - {"robust-jem-combined"}:
        above = judged(rows_with("is", means | {rival: 11.0}))["combined-highest-is"]
        assert above["verdict"] == "fails"
        assert above["interval"][1] < 0
        tied = judged(rows_with("is", means | {rival: 9.0}))["combined-highest-is"]
        assert tied["verdict"] == "inconclusive"
        row = ROWS[rival]
        missing = rows_with("is", means)
        del missing[row.network, row.sampler, "is"]
        absent = judged(missing)["combined-highest-is"]
        assert absent["verdict"] == "inconclusive"
        assert f"not measured: {NAMES[row.network]}" in absent["measured"]


NARROW, WIDE = (0.0, 0.01, -0.01), (0.0, 3.0, -3.0)


@pytest.mark.parametrize(
    ("others", "decides", "verdict"),
    [
        # The nearest is beaten surely, a farther one is not.
        ({"jempp": (8.0, NARROW), "glow": (6.0, WIDE)}, "glow", "inconclusive"),
        # One lies above the claim surely, another farther above it but not surely.
        ({"jempp": (9.5, NARROW), "glow": (10.0, WIDE)}, "jempp", "fails"),
        ({"jempp": (9.5, NARROW), "glow": (11.0, NARROW)}, "glow", "fails"),
        ({"jempp": (8.0, NARROW), "glow": (7.0, NARROW)}, "jempp", "holds"),
        # A rival of two seeds keeps the claim open, however far it is beaten.
        ({"jempp": (8.0, NARROW), "glow": (2.0, NARROW[:2])}, "glow", "inconclusive"),
        # But not one that has failed.
        ({"jempp": (9.5, NARROW), "glow": (2.0, NARROW[:2])}, "jempp", "fails"),
    ],
)
def test_what_is_told_is_the_rival_that_decides(others, decides, verdict):
    rows = rows_with("is", dict.fromkeys(ROWS, 1.0) | {"robust-jem-combined": 9.0}, NARROW)
    for rival, (mean, spread) in others.items():
        row = ROWS[rival]
        rows[row.network, row.sampler, "is"] = around(mean, spread)
    told = judged(rows)["combined-highest-is"]
    assert told["verdict"] == verdict
    low, high = told["interval"]
    lead = 9.0 - others[decides][0]
    assert (low + high) / 2 == pytest.approx(lead, abs=0.01)
    assert f"of {NAMES[decides]}" in told["measured"]
    assert f"{lead:+.3g} [{low:+.3g}, {high:+.3g}]" in told["measured"]
    assert told["leans"] == all(mean < 9.0 for mean, _ in others.values())
    if verdict != "inconclusive":
        assert (low > 0, high < 0) == (verdict == "holds", verdict == "fails")


def test_a_control_is_told_and_decides_nothing():
    rows = rows_with("fid", dict.fromkeys(ROWS, 1.0) | {"robust-classifier": 9.0}, NARROW)
    without = judged(rows)["classifier-worst-fid"]
    rows["robust-classifier", "attack-paper", "fid"] = [0.25, 0.25, 0.25]
    told = judged(rows)["classifier-worst-fid"]
    beside = "; 0.25 of robust classifier, attack, in the paper's radius"
    assert told == without | {"measured": without["measured"] + beside}
    assert told["verdict"] == "holds"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_what_a_claim_wants_is_written_the_way_it_wants_it(claim):
    more, _, less = judged({})[claim.id]["better"].partition(" minus ")
    first = NAMES[claim.first[0]]
    assert more.startswith(f"{claim.words} of ")
    assert less.startswith("that of ")
    assert first in (more if claim.above else less)


def test_a_claim_leans_only_where_nothing_that_may_decide_is_missing():
    rows = rows_with("fid", dict.fromkeys(ROWS, 1.0) | {"robust-classifier": 9.0}, NARROW)
    for flow in ("glow", "residual-flow"):
        del rows[flow, "flow", "fid"]
    assert judged(rows)["classifier-worst-fid"]["leans"] is None
    rows["jempp", "energy", "fid"] = around(10.0, NARROW)
    assert judged(rows)["classifier-worst-fid"]["leans"] is False


def test_what_was_not_measured_is_told():
    for row in judged({}).values():
        assert (row["verdict"], row["interval"], row["leans"]) == ("inconclusive", None, None)
        assert row["measured"].startswith(("not measured: ", "not run: --stability"))


def runs(failed, n, seeds=4):
    rates = [0.1 if k < failed else 0.05 for k in range(n)]
    return {
        "runs": [
            {"seed": k % seeds, "learning_rate": rate, "failed": k < failed}
            for k, rate in enumerate(rates)
        ]
    }


@pytest.mark.parametrize(
    ("jempp", "robust", "seeds", "verdict"),
    [
        (40, 2, 20, "holds"),
        (2, 40, 20, "fails"),
        (3, 2, 20, "inconclusive"),
        (40, 2, 2, "inconclusive"),
    ],
)
def test_stability_is_a_difference_of_shares(jempp, robust, seeds, verdict):
    recipes = {"jempp": runs(jempp, 60, seeds), "robust-jem": runs(robust, 60, seeds)}
    row = judged({}, {"recipes": recipes})["adversarial-training-stabilises"]
    assert row["verdict"] == verdict
    assert f"{robust} of 60 runs failed, against {jempp} of 60 of JEM++" in row["measured"]
    assert f"(0 at a rate of 0.05, {jempp} at a rate of 0.1)" in row["measured"]
    assert row["leans"] == (jempp > robust)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_differences_seed_by_seed_are_told_and_decide_nothing(claim):
    """What moves all runs of a seed alike hides a difference from Welch's interval alone."""
    sign = 1 if claim.above else -1
    values = {(*claim.first, claim.figure): around(10 + sign, UNSURE)}
    values |= {(*other, claim.figure): around(10.0, UNSURE) for other in claim.others}
    row = judged(values)[claim.id]
    assert row["verdict"] == "inconclusive"
    assert row["paired"] == pytest.approx([1.0, 1.0])
    assert "seed by seed [+1, +1]" in row["measured"]
    few = {thing: found[:2] for thing, found in values.items()}
    assert judged(few)[claim.id]["paired"] is None
