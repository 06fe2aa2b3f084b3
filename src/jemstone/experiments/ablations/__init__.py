"""What the paper leaves open, measured: each setting beside its alternatives."""

from jemstone.experiments.ablations.question import pooled
from jemstone.experiments.ablations.sampling import ablate
from jemstone.experiments.ablations.training import train_ablations

__all__ = ["ablate", "pooled", "train_ablations"]
