"""How fast the library is, beside a plain baseline of the same algorithms."""

from jemstone.experiments.bench.race import bench
from jemstone.experiments.bench.roofline import matrix_work
from jemstone.experiments.bench.work import Work, table

__all__ = ["Work", "bench", "matrix_work", "table"]
