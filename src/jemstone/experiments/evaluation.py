"""Judge a run, or anybody's classifier: how well it classifies, resists, detects and generates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jemstone.data import DataSet, data_root
from jemstone.errors import Mistake, unknown
from jemstone.experiments.case import Case, Settings
from jemstone.experiments.drawing import refuse_many
from jemstone.experiments.judge import Judge
from jemstone.experiments.runs import Run
from jemstone.experiments.sight import refuse_few
from jemstone.experiments.suites import SUITES, judge_case
from jemstone.metrics import Inception
from jemstone.model import JointEnergyModel
from jemstone.training import Device, Processes, RunFolder

__all__ = ["case_of", "case_of_run", "evaluate"]


def evaluate(
    run: Run,
    data: DataSet,
    *,
    suite: str = "quick",
    count: int = 1000,
    seed: int = 0,
    device: Device | None = None,
    cache: Path | None = None,
    judge: Judge | Inception | None = None,
    progress: Callable[[str], None] = lambda line: None,
    processes: Processes | None = None,
    baseline: Run | None = None,
) -> dict[str, Any]:
    """Judge a run's newest checkpoint on held-out images.

    Args:
        run: to judge.
        data: whose test images it is judged on.
        suite: ``quick`` or ``full``.
        count: samples of each sampler.
        seed: of attacks and samples.
        device: where to judge; by default where the run was trained, in float32.
        cache: where judges are kept, and what they have seen.
        judge: the eye of the samples' figures; by default that of the data.
        progress: hears what is done next.
        processes: that judge together: samples, attacks and walks are dealt to them.
        baseline: a run of a plain classifier of the same architecture, for unknown inputs.

    Returns:
        The contract's mapping, ready for JSON.

    Raises:
        Mistake: for an unknown suite, too few samples, or data of another shape than the run's.
    """
    case = case_of_run(
        run,
        data,
        Settings(suite, count, seed),
        device=device,
        cache=cache,
        judge=judge,
        progress=progress,
        processes=processes or Processes(),
        baseline=baseline,
    )
    return judge_case(case).figures


def case_of_run(
    run: Run,
    data: DataSet,
    settings: Settings,
    *,
    device: Device | None = None,
    baseline: Run | None = None,
    **options: Any,
) -> Case:
    """Prepare the judgement of a run's newest checkpoint; what cannot be judged is told here.

    Args:
        run: to judge.
        data: whose test images it is judged on.
        settings: what is asked for.
        device: where to judge; by default where the run was trained, in float32.
        baseline: a run of a plain classifier of the same architecture.
        options: as for :class:`Case`.

    Raises:
        Mistake: for an unknown suite, too few samples or held-out images, data of another shape
            than the run's, or a baseline that is none.
    """
    _check_suite(settings)
    if (data.shape, len(data.classes)) != (run.gaussian.shape, run.classes):
        raise Mistake(
            f"{data.name} has {len(data.classes)} classes of {data.shape} images, the run "
            f"{run.classes} of {run.gaussian.shape}: judge it on data of its own shape"
        )
    refuse_few(settings.count, data)
    refuse_many(settings.count, data.shape)
    # What lies beside the run's data is at hand too; a set that is named is looked for as ever.
    if data_root(options.get("root")) is None and settings.unknown is None:
        options["root"] = run.environment["data_root"]
    device = device or Device(run.device.name)
    model = run.model().to(device.name)
    about = {
        "run": str(run.path),
        "recipe": run.recipe.name,
        "budget": run.recipe.budget,
        "seed": run.seed,
        "step": run.steps_done,
        "trained_at": run.environment.get("commit"),
        "weights_sha256": run.weights_sha256,
        "events": list(RunFolder(run.path).events()),
        "data": data.name,
    }
    return case_of(
        model,
        data,
        settings,
        device=device,
        baseline=baseline,
        about=about,
        run=run,
        **options,
    )


def case_of(
    model: JointEnergyModel,
    data: DataSet,
    settings: Settings,
    *,
    device: Device | None = None,
    baseline: Run | None = None,
    **options: Any,
) -> Case:
    """Prepare the judgement of any classifier; what cannot be judged is told here.

    Args:
        model: the classifier, which reads images in [0, 1].
        data: whose test images it is judged on.
        settings: what is asked for.
        device: where to judge.
        baseline: a run of a plain classifier, of the same architecture where the model's is known.
        options: as for :class:`Case`.

    Raises:
        Mistake: for an unknown suite, a model or a baseline that does not fit the data, a baseline
            that the suite would not look at, or sets of unknown images that are missing.
    """
    _check_suite(settings)
    device = device or Device()
    if baseline is not None and settings.suite != "full":
        raise Mistake("--baseline goes with --suite full: it is judged on unknown images alone")
    if baseline is not None:
        options["about"] = {**options.get("about", {}), "baseline": str(baseline.path)}
    plain = None if baseline is None else _plain(baseline, model).to(device.name)
    case = Case(model.to(device.name), data, settings, device=device, baseline=plain, **options)
    if settings.suite == "full":
        case.threat.check()
        case.unknown  # noqa: B018 - what is missing is told before anything is computed
    return case


def _check_suite(settings: Settings) -> None:
    if settings.suite not in SUITES:
        raise unknown("suite", settings.suite, SUITES)


def _plain(run: Run, model: JointEnergyModel) -> JointEnergyModel:
    """Load the plain classifier that a model is compared with.

    Raises:
        Mistake: where it is no plain classifier, or of another architecture.
    """
    weights = run.recipe.weights
    if weights.likelihood or weights.adversarial:
        raise Mistake(
            f"{run.path} is a run of {run.recipe.name}: a baseline is a run of `classifier`"
        )
    found, names = run.model(), ("architecture", "arguments")
    if model.config["architecture"] is not None and any(
        model.config[name] != found.config[name] for name in names
    ):
        raise Mistake(f"{run.path} has another architecture than the model it shall stand beside")
    return found
