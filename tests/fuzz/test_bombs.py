"""Small files that claim much: refused before memory is asked for."""

import json
import os
import struct
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest

ROOM = 400 * 2**20  # bytes that a refusal may take beside the libraries

READER = textwrap.dedent(
    """
    import json, resource, sys
    from pathlib import Path
    from jemstone.data import load
    from jemstone.errors import Mistake
    from jemstone.experiments import Run
    from jemstone.files import read_json, read_tensors
    from jemstone.model import JointEnergyModel
    from jemstone.recipes import read_recipe
    import jsonargparse, numpy, safetensors.torch, yaml

    readers = {".npz": load, ".safetensors": read_tensors, ".yaml": read_recipe,
               ".json": read_json, "": JointEnergyModel.from_pretrained}
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages + int(sys.argv[1]),) * 2)
    for name in sys.argv[2:]:
        path = Path(name)
        try:
            readers[path.suffix](str(path) if path.suffix == ".npz" else path)
            told = "read"
        except Mistake as mistake:
            told = f"Mistake: {mistake}"
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        print(json.dumps([path.name, told]))
    """
)


def npy(shape, kind="|u1"):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def archive(path, images, claimed=0, method=zipfile.ZIP_DEFLATED):
    """Write a data set whose training images are as told, and the rest as it should be."""
    with zipfile.ZipFile(path, "w", method) as file:
        with file.open("train_images.npy", "w", force_zip64=True) as member:
            member.write(images)
        if claimed:
            file.filelist[0].file_size = len(images) + claimed
        for name, array in (
            ("train_labels", np.zeros(4, np.int64)),
            ("test_images", np.zeros((2, 8, 8), np.uint8)),
            ("test_labels", np.zeros(2, np.int64)),
        ):
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array)


def safetensors(path, header, body=b"", length=None):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", length or len(text)) + text + body)


@pytest.fixture(scope="module")
def bombs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bombs")
    archive(folder / "terabyte.npz", npy((10**9, 32, 32)))
    archive(folder / "overflow.npz", npy((2**62, 2**62, 3)))
    archive(folder / "objects.npz", npy((10**9,), "|O"))
    archive(folder / "agreed.npz", npy((2**30, 32, 32)), claimed=2**40)
    archive(folder / "squeezed.npz", npy((4, 8, 8)), method=zipfile.ZIP_BZIP2)
    entry = {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}
    safetensors(folder / "terabyte.safetensors", {"a": entry})
    entry = {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}
    safetensors(folder / "overflow.safetensors", {"a": entry}, b"1234")
    safetensors(folder / "header.safetensors", {}, length=2**62)
    with open(folder / "sparse.safetensors", "wb") as file:
        entry = {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}
        text = json.dumps({"a": entry}).encode()
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + 2**40)
    (folder / "aliases.yaml").write_text(
        "a0: &a0 [x, x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(60))
    )
    (folder / "deep.yaml").write_text("[" * 90_000)
    (folder / "deep.json").write_text("[" * 2**22)
    with open(folder / "sparse.json", "wb") as file:
        file.truncate(2**40)
    with open(folder / "sparse.yaml", "wb") as file:
        file.truncate(2**40)
    for name, arguments in {
        "channels": {"channels": 10**9, "classes": 10, "width": 16},
        "width": {"channels": 1, "classes": 10, "width": 4096},
    }.items():
        (folder / name).mkdir()
        config = {"architecture": "convnet", "arguments": arguments, "mean": 0.5, "std": 0.5}
        (folder / name / "config.json").write_text(json.dumps(config))
        safetensors(folder / name / "model.safetensors", {})
    return folder


def test_each_is_refused_before_memory_is_asked_for(bombs):
    names = sorted(bombs.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", READER, str(ROOM), *map(str, names)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    told = dict(map(json.loads, done.stdout.splitlines()))
    assert told.keys() == {path.name for path in names}, done.stderr
    for name, answer in told.items():
        assert answer.startswith("Mistake: "), (name, answer)
        assert "Unable to allocate" not in answer, (name, answer)
        assert "allocate memory" not in answer, (name, answer)
