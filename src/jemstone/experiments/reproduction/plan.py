"""What a reproduction is asked for, and the folder that belongs to it alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jemstone._version import __version__
from jemstone.data import NAMES, TOYS, DataSet, fingerprint, set_name
from jemstone.errors import Mistake, unknown
from jemstone.experiments.flow_runs import FLOWS
from jemstone.experiments.reproduction.rows import NETWORKS, ROWS, networks_of
from jemstone.experiments.sight import FEATURES
from jemstone.files import check_new, read_json, write_json
from jemstone.recipes import BUDGETS, Recipe, of_length, recipe_for, to_yaml

__all__ = ["Plan"]

_SAMPLES = {"paper": 50_000}
_USUAL_SAMPLES = 1000
_FILE = "plan.json"


@dataclass(frozen=True)
class Plan:
    """What is asked for: of one folder all but seeds, rows and studies is the same for ever.

    Args:
        source: what the data is loaded by.
        seeds: of everything random, one set of runs for each.
        rows: ids of the table's.
        budget: ``quick``, ``small`` or ``paper``.
        samples: of each sampler; by default 1,000, and 50,000 for the paper's budget.
        features: ``judge`` or ``inception``; by default the former, and the latter for the paper's.
        judge: digest of a judge that is given by file; None for that of the data.
        steps: of training, instead of the recipes'.
        ablations: whether what the paper leaves open is measured.
        stability: whether many short runs are trained to see how many fail.
        weights: name of the folder whose weights are adopted; None where all are trained.
        resize: height and width that the images are fitted into, if they are.
        judge_file: name of the judge's file, for the command line that is told.

    Raises:
        Mistake: for an unknown row, budget or kind of features, seeds that are negative or given
            twice, or too few steps.
    """

    source: str
    seeds: tuple[int, ...] = (0,)
    rows: tuple[str, ...] = tuple(ROWS)
    budget: str = "small"
    samples: int | None = None
    features: str | None = None
    judge: str | None = None
    steps: int | None = None
    ablations: bool = False
    stability: bool = False
    weights: str | None = None
    resize: int | None = None
    judge_file: str | None = None

    def __post_init__(self) -> None:
        if self.budget not in BUDGETS:
            raise unknown("budget", self.budget, BUDGETS)
        for row in self.rows:
            if row not in ROWS:
                raise unknown("row", row, ROWS)
        if self.eye not in FEATURES:
            raise unknown("--features", self.eye, FEATURES)
        twice = sorted({seed for seed in self.seeds if self.seeds.count(seed) > 1})
        if twice:
            raise Mistake(f"seed {twice[0]} is given twice: name each seed once")
        if not self.seeds or min(self.seeds) < 0:
            raise Mistake("--seeds are one number or more, each 0 or more")
        if not self.rows:
            raise Mistake(f"--rows are one or more of {', '.join(ROWS)}")
        if self.steps is not None and self.steps < 1:
            raise Mistake(f"--steps is 1 or more, not {self.steps}")
        if self.source in TOYS:
            raise Mistake(
                f"{self.source} are points of the plane, which `jemstone landscape` judges exactly"
            )

    @property
    def count(self) -> int:
        """Samples of each sampler."""
        usual = _SAMPLES.get(self.budget, _USUAL_SAMPLES)
        return usual if self.samples is None else self.samples

    @property
    def eye(self) -> str:
        """Whose features count."""
        return self.features or ("inception" if self.budget == "paper" else "judge")

    @property
    def networks(self) -> tuple[str, ...]:
        """What has to be trained, cheap first."""
        return networks_of(self.rows)

    @property
    def recipes(self) -> dict[str, Recipe]:
        """The recipes of all networks that are no flows, asked for or not, by name."""
        name = set_name(self.source)
        return {
            network: of_length(recipe_for(network, name, self.budget), self.steps)
            for network in NETWORKS
            if network not in FLOWS
        }

    @property
    def printed(self) -> str:
        """The plan and the recipes of what it trains, as YAML."""
        import yaml

        head: dict[str, Any] = {
            "data": set_name(self.source),
            "budget": self.budget,
            "seeds": list(self.seeds),
        }
        head |= {"rows": list(self.rows), "samples": self.count, "features": self.eye}
        recipes = {
            name: yaml.safe_load(to_yaml(recipe))
            for name, recipe in self.recipes.items()
            if name in self.networks
        }
        return yaml.safe_dump({**head, "recipes": recipes}, sort_keys=False)

    @property
    def command(self) -> str:
        """The command line that this folder is the result of, without paths."""
        data = self.source if self.source in NAMES else Path(os.path.abspath(self.source)).name
        words = ["jemstone", "reproduce", "--data", data]
        words += ["--seeds", *map(str, self.seeds), "--budget", self.budget, "--n", str(self.count)]
        if self.resize:
            words += ["--resize", str(self.resize)]
        if set(self.rows) != set(ROWS):
            words += ["--rows", *self.rows]
        if self.features:
            words += ["--features", self.features]
        if self.judge:
            words += ["--judge", self.judge_file or "JUDGE.safetensors"]
        if self.weights:
            words += ["--weights", self.weights]
        if self.steps:
            words += ["--steps", str(self.steps)]
        words += [f"--{name}" for name in ("ablations", "stability") if getattr(self, name)]
        return shlex.join([*words, "--out", "DIR"])

    def joined(self, out: Path, data: DataSet) -> Plan:
        """Return this plan together with what its folder was asked for before.

        Args:
            out: the folder, absent or of this plan; nothing is written.
            data: of the plan.

        Raises:
            Mistake: where the folder is of another plan, or no reproduction's.
        """
        if not out.is_dir():
            check_new(out)
        if not (out / _FILE).is_file():
            # Runs alone may be there: trained before, by many machines.
            if out.is_dir() and {path.name for path in out.iterdir()} - {"runs"}:
                raise Mistake(f"{out} holds something else: choose another --out")
            return self
        kept = read_json(out / _FILE)
        mine = self._lasting(data)
        if not isinstance(kept, dict) or not isinstance(kept.get("plan"), dict):
            raise Mistake(f"{out / _FILE} is not that of a reproduction: choose another --out")
        for name, value in mine.items():
            if kept["plan"].get(name) != value:
                theirs = kept["plan"].get(name)
                raise Mistake(
                    f"{out} is of another plan ({name} {theirs}, not {value}): choose another --out"
                )
        try:
            seeds, rows = (tuple(kept[name]) for name in ("seeds", "rows"))
            return dataclasses.replace(
                self,
                seeds=tuple(sorted({*seeds, *self.seeds})),
                rows=tuple(row for row in ROWS if row in {*rows, *self.rows}),
                ablations=self.ablations or kept["ablations"] is True,
                stability=self.stability or kept["stability"] is True,
                # Plans of before did not say.
                weights=self.weights or kept.get("weights"),
            )
        except (KeyError, TypeError) as error:
            raise Mistake(f"{out / _FILE} is damaged: choose another --out") from error

    def write(self, out: Path, data: DataSet) -> None:
        """Keep the plan in its folder."""
        names = ("seeds", "rows", "ablations", "stability", "weights")
        asked = {name: getattr(self, name) for name in names}
        write_json(out / _FILE, {"plan": self._lasting(data), **asked, "command": self.command})

    def key(self, data: DataSet, *more: str) -> str:
        """Return a digest of all that the figures depend on, beside seed, network and sampler."""
        recipes = [to_yaml(recipe) for recipe in self.recipes.values()]
        parts = [self._lasting(data), recipes, __version__, *more]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _lasting(self, data: DataSet) -> dict[str, Any]:
        """Return what may not change in a folder."""
        return {
            "data": data.name,
            "fingerprint": fingerprint(data),
            "budget": self.budget,
            "n": self.count,
            "features": self.eye,
            "judge": self.judge,
            "steps": self.steps,
        }
