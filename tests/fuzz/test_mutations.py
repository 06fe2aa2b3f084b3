"""Damaged and hostile files: done, or one line and exit 2; never a trace, nothing written."""

import json
import pickle
import random
import re
import struct

import pytest
from PIL import Image

from jemstone.data import load
from jemstone.data.pictures import ENDINGS, look, read
from jemstone.errors import Mistake
from jemstone.model import JointEnergyModel

COUNTS = [pytest.param(60, id="some"), pytest.param(2000, id="many", marks=pytest.mark.stress)]

HOSTILE = [
    *("-1", "0", "3", "1e999", "-1e308", "1e-320", "NaN", ".nan", ".inf", "Infinity", "null"),
    *("true", "[]", "{}", '"x"', "[[1]]", '"../../x"', '"\\ud800"', '"\\n\\n"', "1" + "0" * 30),
    *("9" * 400, "9" * 5000, "0x" + "f" * 600, "1:59:59", "2001-99-99", "!!python/none", "*a"),
    *("[" * 3000, '{"a":' * 3000, "[" * 12 + "]" * 12, "&a [*a]", "<<: *b", "- a", "16777217"),
    *("'", '"', "{class_path: this.s}", "/etc/passwd", "!!binary AAAA", "4503599627370496"),
]


def damaged(content, others, draw):
    """Return damaged bytes: cut, flipped, zeroed, spliced, foreign, or told a lie about."""
    size = len(content)
    a, b = sorted(draw.choices(range(size + 1), k=2))
    b = min(b, a + 200)
    kind = draw.choice(["cut", "flip", "flip", "zero", "repeat", "remove", "foreign", "lie", "lie"])
    if kind == "cut":
        return content[:a]
    if kind == "flip":
        flipped = bytearray(content)
        where = min(size, 600) if draw.random() < 0.5 else size  # heads are where meaning is
        for _ in range(draw.choice([1, 1, 2, 8])):
            flipped[draw.randrange(where)] ^= 1 << draw.randrange(8)
        return bytes(flipped)
    if kind == "zero":
        return content[:a] + bytes(b - a) + content[b:]
    if kind == "repeat":
        return content[:b] + content[a:]
    if kind == "remove":
        return content[:a] + content[b:]
    if kind == "foreign":
        strange = [b"", b"\0" * 100, pickle.dumps([1]), b"PK\x03\x04", b"\x89PNG\r\n", b"\xff\xfe"]
        return draw.choice([*others, *strange, draw.randbytes(300)])
    return lied_about(content, draw)


def lied_about(content, draw):
    """Replace a number, a word or a line; in a binary file, in its header."""
    head, body, tensors = content, b"", content[8:10] == b'{"'
    if tensors:
        (length,) = struct.unpack("<Q", content[:8])
        if draw.random() < 0.2:
            return draw.randbytes(8) + content[8:]
        if draw.random() < 0.1:
            return struct.pack("<Q", 2 ** draw.randrange(64)) + content[8:]
        head, body = content[8 : 8 + length], content[8 + length :]
    elif content[:4] == b"PK\x03\x04":
        head, body = content, b""
    found = list(re.finditer(rb"-?[0-9][0-9.e+-]*|[a-zA-Z_][a-zA-Z_0-9.-]*|[^\n]*\n", head))
    if not found:
        return content
    place = draw.choice(found)
    new = draw.choice([*HOSTILE, draw.choice(found)[0].decode("latin1")]).encode()
    head = head[: place.start()] + new + head[place.end() :]
    return (struct.pack("<Q", len(head)) if tensors else b"") + head + body


def commands(file, run, out):
    """Return the commands that read a file of a run."""
    status, resume = ["status", str(run)], ["train", "--resume", str(run)]
    samplers = ("combined", "attack", "unconditional")
    sample = [
        ["sample", str(run), "--n", "3", "--sampler", name, "--out", str(out)] for name in samplers
    ]
    config = ["train", "--config", str(run / "recipe.yaml"), "--print_config"]
    return {
        "recipe.yaml": [status, resume, config, *sample],
        "environment.json": [status, resume, *sample],
        "metrics.jsonl": [status, resume],
        "init.safetensors": [resume, *sample],
        "checkpoint/model.safetensors": sample,
        "checkpoint/config.json": sample,
        "checkpoint/training.safetensors": [resume],
        "checkpoint/training.json": [status, resume],
        "checkpoint/chains-0.safetensors": [resume],
    }[file]


FILES = [
    *("recipe.yaml", "environment.json", "metrics.jsonl", "init.safetensors"),
    *("checkpoint/model.safetensors", "checkpoint/config.json", "checkpoint/training.safetensors"),
    *("checkpoint/training.json", "checkpoint/chains-0.safetensors"),
]


def test_every_file_that_is_read_is_damaged_here(begun, digests):
    left = {name for name in digests(begun) if not name.startswith(("checkpoints/", "samples/"))}
    assert left == set(FILES)


@pytest.mark.parametrize("count", COUNTS)
def test_a_damaged_run_is_told_in_one_line(
    count, workshop, call, digests, begun, tmp_path, record_property
):
    record_property("made", count)
    run, whole = workshop(), digests(begun)
    contents = {name: (run / name).read_bytes() for name in FILES}
    codes = []
    for number in range(count):
        draw = random.Random(number)
        name = FILES[number % len(FILES)]
        out = tmp_path / draw.choice(["x.npz", "x.png"])
        content = damaged(contents[name], [c for f, c in contents.items() if f != name], draw)
        (run / name).write_bytes(content)
        argv = draw.choice(commands(name, run, out))
        before = digests(run)
        outcome = call(argv)
        told = f"{number}: {name}: {argv}: {outcome}"
        codes.append(outcome.code)
        if outcome.code == 2:
            assert outcome.err.count("\n") == 1, told
            assert len(outcome.err) < 2000, told
            assert digests(run) == before, told
            assert not out.exists(), told
        elif outcome.code == 130:  # long, and not lost: it had begun
            assert outcome.err.count("\n") > 1, told
        else:
            # 3: numbers in the files that no training survives.
            assert outcome.code == 0 or (outcome.code == 3 and "--resume" in argv), told
        out.unlink(missing_ok=True)
        (run / name).write_bytes(contents[name])
        if digests(run) != whole:
            run = workshop()
    assert codes.count(2) > count / 3
    assert codes.count(0) > count / 20  # and what is still whole is still read


@pytest.mark.parametrize("count", COUNTS)
def test_a_damaged_archive_is_told_in_one_line(count, archive, tmp_path, record_property):
    record_property("made", count)
    content, path = archive.read_bytes(), tmp_path / "data.npz"
    told = []
    for number in range(count):
        path.write_bytes(damaged(content, [], random.Random(number)))
        try:
            load(str(path))
        except Mistake as mistake:
            told.append(str(mistake))
    assert len(told) > count / 2
    assert max(map(len, told)) < 2000


@pytest.mark.parametrize("count", COUNTS)
def test_a_damaged_model_is_loaded_as_it_was_or_refused(count, workshop, tmp_path, record_property):
    """Weights carry a digest, so no bit of them changes unnoticed."""
    record_property("made", count // 3)
    folder = workshop() / "checkpoint"
    whole = JointEnergyModel.from_pretrained(folder).state_dict()
    file = folder / "model.safetensors"
    content = file.read_bytes()
    for number in range(count // 3):
        file.write_bytes(damaged(content, [], random.Random(number)))
        try:
            state = JointEnergyModel.from_pretrained(folder).state_dict()
        except Mistake:
            continue
        for name, value in whole.items():
            assert value.numpy().tobytes() == state[name].numpy().tobytes(), number


TEXTS = {
    "nested lists": "[" * 100_000,
    "nested mappings": "{a: " * 50_000,
    "nested dashes": "- " * 50_000,
    "aliases": "a: &a [x, x]\n"
    + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    ),
    "aliases in a field": "noise: &a [1, 1]\nname: [*a, *a]",
    "a merge": "attack: &a {eps: 1}\nwalk: {<<: *a}",
    "a python object": "!!python/object/apply:os.system [ls]",
    "code": "network: {class_path: this.s}",
    "code, alone": "network: this.s",
    "another file": "network: /etc/hostname",
    "a width of a billion": "network: {width: 1000000000}",
    "a depth of a billion": "network: {depth: 6000000004}",
    "a billion chains": "name: jem\nchains: {size: 1000000000}",
    "a number of a megabyte": "noise: 0x" + "f" * 2**20,
    "megabytes": "noise: 1 " + "#" * 2**25,
    "a name of two lines": 'name: "a\\nb"',
    "a name that is no text": 'name: "\\ud800"',
    "bytes": "name: !!binary AAAA",
    "a date": "noise: 2001-01-01",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_recipe_is_told_in_one_line(name, workshop, call, digests):
    run = workshop()
    (run / "recipe.yaml").write_text(TEXTS[name])
    before = digests(run)
    for argv in (["status", str(run)], ["train", "--resume", str(run)]):
        outcome = call(argv)
        assert outcome.code == 2, outcome
        assert outcome.err.count("\n") == 1
        assert len(outcome.err) < 2000
    assert digests(run) == before


CONFIGS = {
    "a billion channels": {"channels": 10**9},
    "a billion classes": {"classes": 10**9},
    "half a channel": {"channels": 0.5},
    "no channel": {"channels": 0},
    "a truth": {"width": True},
    "a word": {"width": "2"},
    "a list": {"width": [2]},
    "wide": {"width": 4096},
    "a stranger": {"__class__": "os.system"},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_hostile_configuration_is_refused(name, workshop):
    folder = workshop() / "checkpoint"
    config = json.loads((folder / "config.json").read_text())
    config["arguments"] |= CONFIGS[name]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(Mistake):
        JointEnergyModel.from_pretrained(folder)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # about tags, on which nothing hangs
@pytest.mark.parametrize("count", COUNTS)
def test_a_damaged_picture_is_read_or_told_in_one_line(count, tmp_path, record_property):
    record_property("made", count)
    draws, told, shown = random.Random(0), [], 0
    whole = Image.frombytes("RGB", (9, 8), draws.randbytes(9 * 8 * 3))
    for number in range(count):
        path = tmp_path / f"x{ENDINGS[number % len(ENDINGS)]}"
        whole.convert("L" if path.suffix == ".pgm" else "RGB").save(path)
        path.write_bytes(damaged(path.read_bytes(), [], random.Random(number)))
        try:
            grey, (height, width) = look(str(path))
            pixels = read(str(path), grey, size=None if height * width < 10_000 else 4)
        except Mistake as mistake:
            told.append(str(mistake))
            continue
        shown += 1
        assert pixels.shape[0] == (1 if grey else 3)
    assert all("\n" not in line and len(line) < 1000 for line in told)
    assert min(len(told), shown) > count / 10
