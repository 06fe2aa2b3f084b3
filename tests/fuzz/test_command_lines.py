"""Whatever is typed: done, or one line and exit 2; never a trace, nothing overwritten."""

import itertools
import os
import subprocess
import sys

import hypothesis
import pytest
from hypothesis import strategies as st

from jemstone.recipes import Recipe, flattened

COUNTS = [pytest.param(60, id="some"), pytest.param(1000, id="many", marks=pytest.mark.stress)]
PROCESSES = [pytest.param(2, id="some"), pytest.param(50, id="many", marks=pytest.mark.stress)]

FIELDS = [path for path, _ in flattened(Recipe())]
OPTIONS = {
    "recipes": ["budget", "data", "help"],
    "train": [
        *("data", "data-root", "out", "resume", "budget", "config", "print_config", "steps"),
        *("grid_every", "tensorboard", "resize", "checkpoint_every", "device", "precision"),
        *("seed", "network", "optimisation", "chains"),
    ],
    "sample": ["sampler", "n", "label", "out", "device", "precision", "seed"],
    "evaluate": [
        *("suite", "n", "data", "data_root", "resize", "out", "device", "precision", "seed"),
        *("html", "norm", "eps", "attacked", "unknown", "baseline", "model", "weights"),
        *("mean", "std"),
        *("judge", "features", "inception_weights"),
    ],
    "gradients": ["n", "data", "data_root", "out", "json", "device", "precision", "seed"],
    "status": ["help"],
}
RIGHT = {
    "recipes": ["", "jem", "robust-jem"],
    "train": [
        "jem --network.width=1 --chains.size=6 --walk.steps=1 --out=OUT",
        "robust-jem --network.architecture=convnet --network.width=2 --chains.size=6 --out=OUT",
        "classifier --print_config",
        "--config=RUN/recipe.yaml --out=OUT",
        "--resume=RUN",
    ],
    "sample": ["RUN --n=3 --out=OUT.npz", "RUN --n=3 --out=OUT.png"],
    "evaluate": ["RUN --n=30 --out=OUT.json"],
    "gradients": ["RUN --n=3 --out=OUT.png"],
}
# Places that the test fills in: the run, a file that is there, one that is not.
PLACES = ["RUN", "TAKEN", "OUT", "OUT.png", "OUT.npz", "OUT.json", "RUN/recipe.yaml", "ARCHIVE"]
WORDS = [
    *("robust-jem", "jem", "jempp", "classifier", "digits", "mnist", "quick", "small", "paper"),
    *("combined", "energy", "attack", "cpu", "cuda", "auto", "fp32", "bf16", "linf", "null", "yes"),
    *("", "-", "--", "---", "=", ".", "..", "/", "~", "*", "0", "-0", "1", "-1", "2.5", "1e-3"),
    *("nan", "inf", "-inf", "1e999", "1e308", "9" * 30, "-" + "9" * 30, "9" * 5000, "0x10", "[]"),
    *("{}", "[[1]]", "{a: 1}", "{class_path: x.Y}", "!!python/none", "&a [*a]", "[" * 2000),
    *("\0", "\n", "a\nb", "\udc80", "\u202e", "é", "x" * 300, "a/" * 3000, "../../../x", "-h"),
    *("__import__('os')", "$(id)", "%s%n", "None", "True", "/dev/null", "/proc/self/mem"),
]
values = st.one_of(
    st.sampled_from(PLACES),
    st.sampled_from(WORDS),
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
)


numbers = st.one_of(
    st.sampled_from(
        ["0", "1", "2", "-1", "0.5", "nan", "inf", "1e999", "1e308", "-1e-320", "null"]
    ),
    st.sampled_from(["9" * 30, "9" * 400, "9" * 5000, "1_000", "0x10", "1e3", "true", "[1]", ""]),
    st.integers(-3, 30).map(str),
    st.integers().map(str),
    st.floats().map(str),
)


def options(command):
    """Options that exist with values of any kind, and words of any kind."""
    known = st.sampled_from(OPTIONS[command] + (FIELDS if command == "train" else []))
    stranger = st.text(max_size=8)
    return st.one_of(
        st.tuples(known, st.one_of(numbers, values)).map(lambda pair: ["--{}={}".format(*pair)]),
        st.tuples(known, values).map(lambda pair: [f"--{pair[0]}", pair[1]]),
        st.tuples(stranger, values).map(lambda pair: [f"--{pair[0]}", pair[1]]),
        known.map(lambda word: [f"--{word}"]),
        values.map(lambda word: [word]),
    )


def nearly_right(command):
    """A line that works, with one or two options more, of existing names."""
    names = [n for n in OPTIONS[command] if n not in ("help", "out", "resume", "data")]
    known = st.sampled_from([*names, *(FIELDS if command == "train" else [])])
    either = st.one_of(numbers, numbers, values)
    more = st.tuples(known, either).map(lambda pair: "--{}={}".format(*pair))
    return st.tuples(
        st.sampled_from(RIGHT[command]), st.lists(more, min_size=1, max_size=2), places
    ).map(lambda parts: [command, *parts[0].split(), *parts[1], *parts[2]])


def whole_lines(command):
    """A command with words and options of any kind."""
    return st.lists(options(command), max_size=4).map(
        lambda parts: [command, *(word for option in parts for word in option)]
    )


places = st.one_of(st.just([]), st.just([]), values.map(lambda word: [f"--out={word}"]))
lines = st.one_of(
    *map(nearly_right, RIGHT),
    *map(nearly_right, ["train", "sample", "train", "sample"]),
    *map(whole_lines, OPTIONS),
    st.lists(values, max_size=4),
)


def tamed(argv):
    """Keep what is well formed short: few steps, samples and images."""
    last = {
        "train": ["--steps=1", "--optimisation.batch_size=4", "--data=ARCHIVE"],
        "evaluate": ["--n=5"],
        "quickstart": ["--n=5"],
    }
    return [*argv, *last.get(argv[0], [])] if argv else argv


@pytest.fixture
def place(begun, archive, tmp_path, monkeypatch):
    """A folder to stand in, with a file that must stay; and the names of places filled in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JEMSTONE_DATA", str(tmp_path / "data"))  # nothing is downloaded
    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    (tmp_path / "taken.npz").write_text("of somebody")
    names = {"RUN": begun, "TAKEN": tmp_path / "taken.npz", "ARCHIVE": archive}

    lines = itertools.count()

    def fill(argv):
        new = f"new{next(lines)}"  # the former line may have made its own
        filled = []
        for word in argv:
            for name, path in names.items():
                word = word.replace(name, str(path))
            filled.append(word.replace("OUT", new))
        return filled

    return fill


@pytest.mark.parametrize("count", COUNTS)
def test_any_line_is_done_or_told_in_one_line(
    count, place, begun, call, digests, tmp_path, record_property
):
    codes = []

    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(lines)
    def any_line(argv):
        argv = place(tamed(argv))
        before = digests(tmp_path)
        run = digests(begun)
        outcome = call(argv)
        codes.append(outcome.code)
        told = f"{argv}: {outcome}"
        after = digests(tmp_path)
        assert {name: after.get(name) for name in before} == before, told
        if outcome.code == 2:
            assert outcome.err.count("\n") == 1, told
            assert len(outcome.err) < 8000, told
            assert outcome.out == "", told
            assert after == before, told
        elif outcome.code == 130:
            assert outcome.err.count("\n") > 1, told
        else:
            assert outcome.code == 0 or (outcome.code == 3 and "train" in argv), told
        if "train" not in argv or not any(word.startswith("--resume") for word in argv):
            assert digests(begun) == run, told

    any_line()
    record_property("made", len(codes))
    assert 2 in codes
    assert 0 in codes


@pytest.mark.parametrize("count", PROCESSES)
def test_a_process_of_its_own_behaves_as_well(
    count, place, begun, digests, tmp_path, record_property
):
    seen = []

    @hypothesis.settings(
        max_examples=10 * count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(lines)
    def collect(argv):
        seen.append(place(tamed(argv)))

    collect()
    # What no process can be given: a zero byte, and more than the system takes.
    possible = [argv for argv in seen if argv and "\0" not in "".join(argv)]
    chosen = possible[:: max(1, len(possible) // count)][:count]
    record_property("made", len(chosen))
    for argv in chosen:
        before, run = digests(tmp_path), digests(begun)
        done = subprocess.run(
            [sys.executable, "-m", "jemstone", *map(os.fsencode, map(speakable, argv))],
            capture_output=True,
            check=False,
            timeout=120,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        told = f"{argv}: {done}"
        assert done.returncode in (0, 2, 3), told
        assert b"Traceback" not in done.stderr, told
        after = digests(tmp_path)
        assert {name: after.get(name) for name in before} == before, told
        if done.returncode == 2:
            assert done.stderr.count(b"\n") == 1, told
            assert after == before, told
        if not any(word.startswith("--resume") for word in argv):
            assert digests(begun) == run, told


def speakable(word):
    """Return a word that has bytes: lone surrogates other than those of bytes have none."""
    return word.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
