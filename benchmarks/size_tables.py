"""Lay out what a small budget was made of, and what input gradients of its networks say."""


def trials(results):
    """Lay out each trial: what was changed, and what came of it."""
    lines = ["| changed | accuracy | robust accuracy |", "|---|---|---|"]
    for name, row in results["rows"].items():
        figures = [f"{100 * row[key]:.1f}" for key in ("accuracy", "robust_accuracy")]
        cells = ["diverged"] * 2 if "diverged" in row else figures
        lines.append("| " + " | ".join([name, *cells]) + " |")
    file = f"results/{results['data']}-trials.json"
    return "\n".join(
        [
            *lines,
            "",
            f"`{results['data']}`, `{results['recipe']}`, {results['steps']} steps, one seed, "
            f"{results['held_out']:,} held-out images, {results['attack']}. "
            f"From [docs/{file}]({file}).",
        ]
    )


def gradients(results):
    """Lay out the alignments of each network's input gradients."""
    names = list(results["measures"])
    heads = ["network", "accuracy", *(name.replace("_", " ") for name in names)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for run in results["runs"]:
        cells = [f"`{run['recipe']}`", f"{100 * run['accuracy']:.1f}"]
        cells += [f"{run[name]['mean']:.3f} ± {run[name]['se']:.3f}" for name in names]
        lines.append("| " + " | ".join(cells) + " |")
    file = f"results/gradients-{results['data']}.json"
    return "\n".join(
        [
            *lines,
            "",
            f"`{results['data']}`, budget `{results['runs'][0]['budget']}`, one seed, "
            f"{results['n']:,} held-out images, mean ± standard error over them. "
            f"From [docs/{file}]({file}).",
        ]
    )
