"""Draw what `jemstone reproduce` has sampled beside the data, for README: nothing is chosen.

    python benchmarks/pictures.py runs/table-cifar10 --out docs/images/table1-cifar10.png

The images are the first of each class, by label, as the samplers drew them.
"""

import argparse
from pathlib import Path

import torch

from jemstone.data import firsts, load
from jemstone.files import read_json, read_tensors
from jemstone.report import draw_panels

EACH = 6
PANELS = {
    "robust classifier, attack": "robust-classifier-attack",
    "JEM++, energy": "jempp-energy",
    "Robust JEM, energy": "robust-jem-energy",
    "Robust JEM, combined": "robust-jem-combined",
}


def first(images, labels, classes):
    """Return the first images of each class, class by class, in [0, 1]."""
    return images[torch.cat(firsts(labels, classes, EACH))].float() / 255


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of `jemstone reproduce`")
    parser.add_argument("--data-root")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    table = read_json(arguments.folder / "table1.json")
    data, seed = load(table["data"], arguments.data_root), table["seeds"][0]
    held_out = data.test.bytes, data.test.labels
    panels = {f"{data.name}, held out": first(*held_out, len(data.classes))}
    for title, name in PANELS.items():
        kept = read_tensors(arguments.folder / "cells/samples" / f"{name}-{seed}.safetensors")
        panels[title] = first(kept["images"], kept["labels"], len(data.classes))
    draw_panels(arguments.out, panels, data.classes, inches=(2.0, 3.4))


if __name__ == "__main__":
    main()
