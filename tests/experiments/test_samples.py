"""Samples are judged sampler by sampler: one that fails is told, and the others have figures."""

import torch

from jemstone.experiments.samples import judge_generation
from jemstone.files import finite
from jemstone.report import doubts

STEADY = {"init": 0.001, "combined": 0.001, "energy": 0.001, "attack": 0.001}


def judged(case):
    return finite(judge_generation(case))


def test_a_sampler_that_explodes_has_no_figures_and_the_others_have(precipice):
    result = judged(precipice(STEADY | {"energy": 300.0}))
    assert [row["sampler"] for row in result["generation"]] == ["init", "combined", "attack"]
    assert list(result["pictures"]) == ["init", "combined", "attack"]
    assert list(result["generation_failed"]) == ["energy"]
    assert "not finite" in result["generation_failed"]["energy"]
    assert any("samples by energy have no figures" in doubt for doubt in doubts(result))
    assert all(row["fid"] > 0 for row in result["generation"])


def test_so_it_is_with_chains_of_the_buffer(precipice, generator):
    case = precipice(STEADY)
    chains = generator.uniform((40, 1, 8, 8))
    case.run.chains = lambda: chains
    result = judged(case)
    last = result["generation"][-1]
    assert (last["sampler"], last["origin"], last["seconds_per_image"]) == (
        "chains",
        "buffer",
        None,
    )
    assert result["generation_failed"] == {}
    chains[3, 0, 0, 0] = torch.nan
    result = judged(case)
    assert [row["sampler"] for row in result["generation"]] == list(STEADY)
    assert list(result["generation_failed"]) == ["chains"]
