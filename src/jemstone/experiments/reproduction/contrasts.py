"""The paper's claims: which figure of what shall lie above that of what else."""

from __future__ import annotations

from dataclasses import dataclass

from jemstone.experiments.reproduction.rows import ROWS

__all__ = ["CLAIMS", "Contrast", "Thing"]

Thing = tuple[str, str]
"""A network, and a sampler or what else is asked about it."""


@dataclass(frozen=True)
class Contrast:
    """A claim that one figure of one thing lies above that of others.

    Args:
        id: of the claim.
        claim: in words.
        paper: what the paper says of it.
        figure: that is compared.
        first: network and sampler that the claim is about.
        others: what it is compared with; the claim is of each of them.
        above: whether the claim wants the first to be larger.
        words: of the figure.
        beside: another figure, told and not judged.
        control: another thing whose figure is told and not judged.
    """

    id: str
    claim: str
    paper: str
    figure: str
    first: Thing
    others: tuple[Thing, ...]
    above: bool = True
    words: str = ""
    beside: str | None = None
    control: Thing | None = None


def _rows_but(id: str) -> tuple[Thing, ...]:
    return tuple((row.network, row.sampler) for row in ROWS.values() if row.id != id)


_JEMPP, _ENERGY = ("jempp", "energy"), ("robust-jem", "energy")
_COMBINED = ("robust-jem", "combined")
_ATTACK = ("robust-classifier", "attack")
_DIVERSE = "samples are less diverse"

CLAIMS = (
    Contrast(
        "energy-beats-jempp-is",
        "Robust JEM's energy-only samples beat JEM++'s in Inception score",
        "8.71 against 7.54",
        "is",
        _ENERGY,
        (_JEMPP,),
        words="IS",
    ),
    Contrast(
        "energy-beats-jempp-fid",
        "Robust JEM's energy-only samples beat JEM++'s in FID",
        "41.17 against 48.25",
        "fid",
        _ENERGY,
        (_JEMPP,),
        above=False,
        words="FID",
    ),
    Contrast(
        "combined-highest-is",
        "combined inference has the highest Inception score of all rows",
        "9.28, the next 8.71",
        "is",
        _COMBINED,
        _rows_but("robust-jem-combined"),
        words="IS",
        control=("robust-jem", "combined-paper"),
    ),
    Contrast(
        "classifier-worst-fid",
        "the robust classifier alone has the worst FID of all rows",
        "85.12, the next 48.90",
        "fid",
        _ATTACK,
        _rows_but("robust-classifier"),
        words="FID",
        control=("robust-classifier", "attack-paper"),
    ),
    Contrast(
        "contrast-helps",
        "reduced contrast without clamping helps combined inference",
        "says so, without a figure",
        "fid",
        _COMBINED,
        (("robust-jem", "combined-clamped"),),
        above=False,
        words="FID",
        beside="is",
    ),
    Contrast(
        "more-robust-than-classifier",
        "the hybrid's classifier is adversarially robust: more than a plain one",
        "says so, without a figure",
        "robust_accuracy",
        ("robust-jem", "classification"),
        (("classifier", "classification"),),
        words="robust accuracy",
        beside="accuracy",
    ),
    Contrast(
        "more-robust-than-jempp",
        "the hybrid's classifier is adversarially robust: more than JEM++'s",
        "says so, without a figure",
        "robust_accuracy",
        ("robust-jem", "classification"),
        (("jempp", "classification"),),
        words="robust accuracy",
        beside="accuracy",
    ),
    Contrast(
        "gradients-interpretable",
        "the hybrid's input gradients are interpretable: nearer to the classes than a plain "
        "classifier's",
        "shows pictures, without a figure",
        "class_mean_alignment_log_p",
        ("robust-jem", "gradients"),
        (("classifier", "gradients"),),
        words="alignment of gradients with class means",
        beside="margin_alignment",
    ),
    *(
        Contrast(
            f"less-diverse-{figure}",
            f"{_DIVERSE}: {words} of combined inference lies below that of JEM++",
            "says so, without a figure",
            figure,
            _COMBINED,
            (_JEMPP,),
            above=False,
            words=words,
            beside="feature_spread" if figure == "spread" else None,
        )
        for figure, words in (
            ("recall", "recall"),
            ("coverage", "coverage"),
            ("spread", "spread within classes"),
        )
    ),
)
"""All but that of stability, which is about runs and not about figures."""
