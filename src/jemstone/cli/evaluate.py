"""``jemstone evaluate``: judge a run, or anybody's classifier, into one JSON file and one page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from jemstone.cli.console import results, say
from jemstone.cli.eyes import eye_options, open_eye
from jemstone.cli.parser import Parser, choose_for_judging, common_options
from jemstone.data import DataSet, load
from jemstone.errors import Mistake
from jemstone.experiments import (
    FEATURES,
    SUITES,
    Case,
    Run,
    Settings,
    Store,
    case_of,
    case_of_run,
    data_of,
    judge_case,
    load_classifier,
    refuse_strangers,
)
from jemstone.files import check_new, sha256_of, write_json, write_whole
from jemstone.report import classification_table, generation_table, page
from jemstone.training import Processes, join

__all__ = ["run"]


def run(argv: Sequence[str]) -> int:
    """Judge; see ``jemstone evaluate --help``."""
    with join() as processes:
        return _evaluate(argv, processes)


def _evaluate(argv: Sequence[str], processes: Processes) -> int:
    arguments = _parser().read(argv)
    out = Path(arguments.out)
    if out.suffix != ".json":
        raise Mistake(f"--out ends in .json, not '{out.name}'")
    html = Path(arguments.html) if arguments.html else out.with_suffix(".html")
    if html.suffix != ".html":
        raise Mistake(f"--html ends in .html, not '{html.name}'")
    wants_page = arguments.suite == "full" or arguments.html is not None
    for file in (out, html) if wants_page else (out,):
        check_new(file)
    parts = out.with_suffix(".parts") if arguments.suite == "full" else None
    if parts is not None:
        refuse_strangers(parts)
    case = _case(arguments, processes)
    store = None if parts is None else Store(parts, case.key)
    try:
        judgement = judge_case(case, store)
    except KeyboardInterrupt:
        if store is not None:
            say(f"what is done is kept in {store.folder}: the same command goes on from there")
        raise
    result = {"command": shlex.join(["jemstone", "evaluate", *argv]), **judgement.figures}
    if processes.leads:
        write_json(out, result)  # first: no figure is lost for want of a page
        if wants_page:
            text = page(result, judgement.pictures)
            write_whole(html, lambda beside: beside.write_text(text, encoding="utf-8"))
    processes.wait()  # what is kept goes once the result is there
    if not processes.leads:
        return 0
    if store is not None:
        store.remove()
    console = results(120)
    console.print(classification_table(result))
    if result["generation"]:
        console.print(generation_table(result))
    if wants_page:
        print(html)
    print(out)
    return 0


def _case(arguments: Namespace, processes: Processes) -> Case:
    """Open what is judged; what cannot be judged is told here."""
    settings = Settings(
        arguments.suite,
        arguments.n,
        arguments.seed,
        arguments.norm,
        arguments.eps,
        arguments.attacked,
        None if arguments.unknown is None else tuple(arguments.unknown),
    )
    options: dict[str, Any] = {
        "device": choose_for_judging(arguments.device, arguments.precision),
        "root": arguments.data_root,
        "processes": processes,
        "progress": say,
    }
    if (arguments.run is None) == (arguments.model is None):
        raise Mistake("evaluate judges a run's folder, or --model pkg.module:factory: name one")
    if arguments.model is None:
        if arguments.weights is not None or arguments.mean is not None or arguments.std is not None:
            raise Mistake("--weights, --mean and --std go with --model; a run has its own")
        opened = Run.open(Path(arguments.run))
        data = _data(arguments, processes, opened)
        options["judge"] = open_eye(arguments, arguments.features, data, options["device"])
        return case_of_run(opened, data, settings, baseline=_baseline(arguments), **options)
    if arguments.weights is None or arguments.data is None:
        raise Mistake("--model needs --weights FILE.safetensors and --data NAME")
    eye = (arguments.judge, arguments.inception_weights)
    if any(eye) or arguments.features != FEATURES[0]:
        raise Mistake("--judge, --features and --inception_weights go with a run: no other draws")
    data = _data(arguments, processes)
    weights = Path(arguments.weights)
    model = load_classifier(arguments.model, weights, arguments.mean, arguments.std)
    about = {
        "run": None,
        "model": arguments.model,
        "weights": str(weights),
        "weights_sha256": sha256_of(weights),
        "data": data.name,
    }
    return case_of(model, data, settings, about=about, baseline=_baseline(arguments), **options)


def _data(arguments: Namespace, processes: Processes, opened: Run | None = None) -> DataSet:
    """Load the data that is asked for, or else the run's."""
    name, root, size = arguments.data, arguments.data_root, arguments.resize
    if opened is None:
        return processes.in_turn(lambda: load(name, root, resize=size, told=say))
    return processes.in_turn(lambda: data_of([opened], name, root, size, say))


def _baseline(arguments: Namespace) -> Run | None:
    return None if arguments.baseline is None else Run.open(Path(arguments.baseline))


def _parser() -> Parser:
    parser = Parser(
        "evaluate",
        "Judge a run, or anybody's classifier, on held-out images.",
        "jemstone evaluate runs/a --suite quick --out runs/a.json",
    )
    parser.add_argument("run", nargs="?", help="folder of the run")
    parser.add_argument("--suite", default="quick", help=", ".join(SUITES))
    parser.add_argument("--n", type=int, default=1000, help="samples of each sampler")
    parser.add_argument("--data", type=str | None, help="by default the run's")
    parser.add_argument("--data_root", type=str | None, help="folder that holds the data")
    parser.add_argument("--resize", type=int | None, help="pixels to fit the images of --data to")
    eye_options(parser, "judge")
    parser.add_argument("--out", required=True, help="FILE.json")
    parser.add_argument("--html", type=str | None, help="FILE.html; the full suite writes one")
    parser.add_argument("--norm", type=str | None, help="of the attack: linf or l2")
    parser.add_argument("--eps", type=float | None, help="of the attack, in [0, 1] pixels")
    parser.add_argument("--attacked", type=int | None, help="held-out images that are attacked")
    parser.add_argument(
        "--unknown", nargs="+", type=str | None, help="unknown images: names, FILE.npz or FOLDER"
    )
    parser.add_argument("--baseline", type=str | None, help="run of a plain classifier")
    parser.add_argument("--model", type=str | None, help="pkg.module:factory, instead of a run")
    parser.add_argument("--weights", type=str | None, help="of that model: FILE.safetensors")
    parser.add_argument("--mean", nargs="+", type=float | None, help="that the model subtracts")
    parser.add_argument("--std", nargs="+", type=float | None, help="that the model divides by")
    common_options(parser)
    return parser
