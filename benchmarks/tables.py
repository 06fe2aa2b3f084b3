"""Write the tables of README and docs, and the figures the package carries, from docs/results.

python benchmarks/tables.py            # rewrite
python benchmarks/tables.py --check    # fail where something has drifted
"""

import json
import re
import sys
from functools import cache
from pathlib import Path

from paper_tables import paired, paper
from sceptic import read, sceptic
from size_tables import gradients, paper_size
from size_tables import trials as tried
from speed_tables import bench, headline, published
from study_tables import ablations, longer, radius, stability, walks
from survival_tables import guard, scaling, survival

from jemstone.recipes import PAPERS
from jemstone.report import figures
from jemstone.report.reproduction import matrix_markdown, table_markdown

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs/results"


@cache
def measured_or_none(name):
    """Read a file of docs/results; None where it was not measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def those(pattern):
    """Read the files of docs/results that fit a pattern, in the order of their names."""
    return [measured_or_none(path.stem) for path in sorted(RESULTS.glob(f"{pattern}.json"))]


def percent(figure):
    deviation = f" ± {100 * figure['std']:.1f}" if figure["std"] is not None else ""
    return f"{100 * figure['mean']:.1f}{deviation}"


def number(figure):
    deviation = f" ± {figure['std']:.2f}" if figure["std"] is not None else ""
    return f"{figure['mean']:.2f}{deviation}"


def robust(row):
    """Find the robust accuracies at every radius."""
    keys = [key for key in row if key.startswith("PGD")]
    norm = keys[0].split(", ")[1].partition(" ")[0]
    radii = " / ".join(key.rpartition(" ")[2] for key in keys).replace("0.0313725", "8/255")
    return f"{' / '.join(percent(row[key]) for key in keys)} ({norm} {radii})"


def table(results):
    """Lay out one line for each recipe."""
    heads = (
        "recipe",
        "what it trains",
        "accuracy",
        "robust accuracy",
        "IS / FID energy",
        "IS / FID combined",
        "*paper*, CIFAR-10",
    )
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, recipe in results["recipes"].items():
        paper, row = PAPERS[name](), recipe["figures"]
        lost, done = len(recipe["diverged"]), len(recipe["seeds"])
        usual = done == len(results["seeds"])
        note = f" ({lost} of {done} seeds diverged)" if lost else f" ({done} seeds)" * (not usual)
        note = note.replace("(1 seeds)", "(1 seed)")
        cells = [f"`{name}`", paper.summary + note]
        if row:
            cells += [percent(row["accuracy"]), robust(row)]
            for sampler in ("energy", "combined"):
                score, distance = row[f"{sampler}: is"], row[f"{sampler}: fid"]
                cells.append(f"{score['mean']:.2f} / {number(distance)}")
        else:
            cells += ["diverged"] * 4
        lines.append("| " + " | ".join([*cells, figures(paper)]) + " |")
    seeds, row = len(results["seeds"]), next(iter(results["recipes"].values()))["figures"]
    init = f"{row['init: is']['mean']:.2f} / {row['init: fid']['mean']:.2f}"
    over = f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    lines += [
        "",
        f"Measured here: `{results['data']}`, budget `{results['budget']}`, {over}, "
        f"{results['held_out']:,} held-out images; "
        "robust accuracy under "
        f"PGD-20 with 2 restarts{attacked(row)}; "
        f"{results['samples']:,} samples from scratch. IS and FID are by the features of "
        f"`{results['features']}` "
        f"({100 * results['judge_accuracy']:.1f} % accurate), so they compare with each other and "
        f"not with the papers'; the class-Gaussian init has {init}{real(results)}. From "
        f"[docs/results/{results['data']}.json](docs/results/{results['data']}.json).",
    ]
    return "\n".join(lines)


def attacked(row):
    """Say on how many images, where not on all."""
    return f", on {row['attacked']['mean']:,.0f} of them" if "attacked" in row else ""


def line(recipe):
    """Say a recipe's figures in one line, for `jemstone recipes`."""
    row = recipe["figures"]
    if not row:
        return "diverged"
    return (
        f"accuracy {percent(row['accuracy'])} %, robust {robust(row)}, "
        f"FID energy {number(row['energy: fid'])}, combined {number(row['combined: fid'])} "
        "(judge's features)"
    )


def combined(results):
    """Lay out what was tried in combined inference."""
    heads = ("sampler", "painted", "contrast", "walk", "IS", "FID", "recall", "nearest")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in results["rows"]:
        steps = row.get("sampling.combined.steps", row.get("sampling.energy.steps", ""))
        cells = [row["sampler"], row.get("sampling.attack.eps", "")]
        cells += [row.get("sampling.contrast.factor", ""), steps]
        cells += [f"{row[name]:.2f}" for name in ("is", "fid", "recall", "nearest")]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    file = f"results/{results['data']}-combined.json"
    source, seeds = f"[docs/{file}]({file})", len(results["seeds"])
    lines += [
        "",
        f"`{results['data']}`, {seeds} seed{'s' * (seeds > 1)}, {results['samples']:,} samples "
        f"from scratch, {results['held_out']:,} held-out images, features of "
        f"`{results['features']}`. From {source}.",
    ]
    return "\n".join(lines)


def ranks(results):
    """Lay out what class Gaussians lose by rank."""
    heads = ("rank", "MB", "seconds for 1,000 draws", "FID", "recall", "coverage", "agreement")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in [*results["ranks"], {"figures": results["training_images"]}]:
        size = f"{row['statistics_bytes'] / 1e6:.2f}" if "rank" in row else ""
        drawn = f"{row['draw_s_per_1000']:.3f}" if "rank" in row else ""
        cells = [row.get("rank", "training images"), size, drawn, number(row["figures"]["fid"])]
        cells += [f"{row['figures'][name]['mean']:.2f}" for name in heads[4:]]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    file = f"results/gaussian-rank-{results['data']}.json"
    seeds = len(results["seeds"])
    lines += [
        "",
        f"`{results['data']}`, {results['samples']:,} draws by "
        f"{f'each of {seeds} seeds' if seeds > 1 else 'one seed'}, {results['held_out']:,} "
        f"held-out images, features of `{results['features']}`. "
        f"From [docs/{file}]({file}).",
    ]
    return "\n".join(lines)


def toys(results):
    """Lay out what was learnt of densities that are known."""
    heads = ("data", "trained", "nll", "KL(data ∥ p)", "accuracy", "robust accuracy")
    samplers = ("unconditional", "energy", "combined")
    heads += (*(f"KL {name}" for name in samplers), "KL exact draws")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for data, found in results["data"].items():
        best = found["best"]
        cells = [data, "*the density itself*", f"{best['nll']:.3f}", "0"]
        cells += [f"{100 * best['accuracy']:.1f}"] + [""] * (2 + len(samplers))
        lines.append("| " + " | ".join(cells) + " |")
        for column, run in found["runs"].items():
            row, done = run["figures"], len(run["seeds"])
            note = "" if done == len(results["seeds"]) else f" ({done} of the seeds)"
            cells = [data, column + note, thousandths(row["nll"])]
            cells += [thousandths(row["kl_data_model"]), percent(row["accuracy"])]
            cells.append(percent([figure for key, figure in row.items() if "PGD" in key][-1]))
            cells += [thousandths(row[f"{name}: kl"]) for name in samplers]
            cells.append(thousandths(row["unconditional: kl_exact"]))
            lines.append("| " + " | ".join(cells) + " |")
    seeds = len(results["seeds"])
    over = f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    lines += [
        "",
        f"Measured here: budget `{results['budget']}`, {over}, {results['held_out']:,} held-out "
        f"points, robust accuracy under PGD-20 with 2 restarts at the trained radius; "
        f"{results['samples']:,} samples from scratch, in histograms of "
        f"{results['cells']['histogram']} x {results['cells']['histogram']} cells; quadrature on "
        f"{results['cells']['quadrature']} x {results['cells']['quadrature']}. From "
        "[docs/results/landscape.json](results/landscape.json).",
    ]
    return "\n".join(lines)


def thousandths(figure):
    deviation = f" ± {figure['std']:.3f}" if figure["std"] is not None else ""
    return f"{figure['mean']:.3f}{deviation}"


def real(results):
    """Say what the held-out images themselves score, where it was measured."""
    score = results.get("reference_is")
    return f", held-out images have an IS of {score:.2f}" if score else ""


def tables(readme):
    """Fill README's tables with what was measured."""
    page = readme.read_text()
    for name in ("digits", "mnist", "cifar10"):
        page = filled(page, name, name, table)
    page = filled(page, "speed", "bench", headline)
    reproduced = {result["data"]: result for result in those("table1-*")}
    page = inserted(page, "paper", paper(reproduced)) if reproduced else page
    suites = read(RESULTS)
    return inserted(page, "sceptic", sceptic(suites)) if suites else page


def filled(text, name, file, lay_out):
    """Return a page's text with one table laid out anew, or as it is where that isn't measured."""
    results = measured_or_none(file)
    return text if results is None else inserted(text, name, lay_out(results))


def inserted(text, name, table):
    """Return a page's text with one table between its marks replaced."""
    block = f"<!-- table: {name} -->\n{table}\n<!-- end -->"
    marks = f"<!-- table: {name} -->.*?<!-- end -->"
    page, found = re.subn(marks, lambda _: block, text, flags=re.DOTALL)
    if found != 1:
        sys.exit(f"the marks of the table {name} are {'gone' if not found else 'there twice'}")
    return page


def main(check):
    readme, rank = ROOT / "README.md", ROOT / "docs/gaussians.md"
    wanted = {readme: tables(readme)}
    if results := measured_or_none("digits"):
        carried = {name: line(recipe) for name, recipe in results["recipes"].items()}
        file = ROOT / "src/jemstone/recipes/measured.json"
        wanted[file] = json.dumps(carried, indent=2) + "\n"
    if losses := [ranks(loss) for loss in those("gaussian-rank-*")]:
        wanted[rank] = inserted(rank.read_text(), "gaussian-rank", "\n\n".join(losses))
    for mark, file, document, lay_out in (
        ("combined", "digits-combined", "combined.md", combined),
        ("combined-cifar10", "cifar10-combined", "combined.md", combined),
        ("toys", "landscape", "toy.md", toys),
        ("guard", "guard", "survival.md", guard),
        ("survival", "survival", "survival.md", survival),
        ("scaling", "scaling", "scaling.md", scaling),
        ("paper-step", "paper-step", "scaling.md", paper_size),
        ("table1-digits", "table1-digits", "reproduction.md", table_markdown),
        ("table1-mnist", "table1-mnist", "reproduction.md", table_markdown),
        ("table1-cifar10", "table1-cifar10", "reproduction.md", table_markdown),
        ("paired-digits", "table1-digits", "reproduction.md", paired),
        ("matrix-digits", "table1-digits", "reproduction.md", matrix_markdown),
        ("matrix-mnist", "table1-mnist", "reproduction.md", matrix_markdown),
        ("matrix-cifar10", "table1-cifar10", "reproduction.md", matrix_markdown),
        ("ablations-digits", "table1-digits", "studies.md", ablations),
        ("stability-digits", "table1-digits", "studies.md", stability),
        ("walks-digits", "table1-digits", "studies.md", walks),
        ("cifar10-radius", "cifar10-radius", "reproduction.md", radius),
        ("cifar10-trials", "cifar10-trials", "budgets.md", tried),
        ("mnist-trials", "mnist-trials", "budgets.md", tried),
        ("bench", "bench", "speed.md", bench),
        ("published", "published", "speed.md", published),
        ("gradients-cifar10", "gradients-cifar10", "gradients.md", gradients),
        ("gradients-mnist", "gradients-mnist", "gradients.md", gradients),
    ):
        where = ROOT / "docs" / document
        wanted[where] = filled(wanted.get(where) or where.read_text(), mark, file, lay_out)
    short, long = (measured_or_none(name) for name in ("table1-cifar10", "cifar10"))
    if short and long:
        where = ROOT / "docs/reproduction.md"
        wanted[where] = inserted(wanted[where], "cifar10-longer", longer(short, long))
    drifted = [path for path, text in wanted.items() if path.read_text() != text]
    if check and drifted:
        sys.exit(f"drifted from docs/results: {', '.join(p.name for p in drifted)}")
    for path in drifted:
        path.write_text(wanted[path])


if __name__ == "__main__":
    main(check="--check" in sys.argv)
