import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from jemstone.errors import Mistake
from jemstone.files import (
    check_new,
    finite,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
    write_whole,
)

TENSORS = {
    "float32": torch.rand(2, 3),
    "float64": torch.rand(3).double(),
    "int64": torch.arange(4),
    "uint8": torch.arange(5, dtype=torch.uint8),
    "number": torch.tensor(3),
    "empty": torch.empty(0, 2),
    "transposed": torch.arange(6).reshape(2, 3).T,
    "strided": torch.arange(8)[::2],
    "channels_last": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last),
    "with grad": torch.rand(2, requires_grad=True),
}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (
            {"a": [1, math.nan, {"b": math.inf}], "c": "NaN"},
            {"a": [1, None, {"b": None}], "c": "NaN"},
        ),
        ((1, 2.5), [1, 2.5]),
        ({1: True}, {"1": True}),
    ],
)
def test_json_is_valid_json(value, plain, tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    write_json(tmp_path / "value.json", value)
    assert json.loads((tmp_path / "value.json").read_text(), parse_constant=refuse) == plain
    assert read_json(tmp_path / "value.json") == finite(value) == plain


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_come_back_as_they_were(name, tmp_path):
    write_tensors(tmp_path / "t.safetensors", {name: TENSORS[name]})
    back = read_tensors(tmp_path / "t.safetensors")[name]
    assert torch.equal(back, TENSORS[name])
    assert back.dtype == TENSORS[name].dtype


def test_tied_weights_are_written_twice(tmp_path):
    weight = torch.rand(2, 2)
    write_tensors(tmp_path / "t.safetensors", {"encoder": weight, "decoder": weight})
    back = read_tensors(tmp_path / "t.safetensors")
    assert torch.equal(back["encoder"], weight)
    assert torch.equal(back["decoder"], weight)


def test_a_failed_write_leaves_the_former_file_and_nothing_else(tmp_path):
    path = tmp_path / "runs" / "new" / "value.json"
    write_json(path, 1)

    def fail(beside):
        beside.write_text("half a")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fail)
    assert read_json(path) == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"\xff\xfe", b'{"a": 1', b"[" * 100_000, b"{}{}"]
)
def test_broken_json_is_a_mistake_of_one_line(content, tmp_path):
    path = tmp_path / "value.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Mistake, match=r"value.json") as told:
        read_json(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("kept", [0, 4, 8, 40, -1])
def test_truncated_tensors_are_a_mistake_of_one_line(kept, tmp_path):
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"a": torch.rand(5)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(Mistake, match=r"t.safetensors is not a complete") as told:
        read_tensors(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("content", [b"garbage, not tensors", b"\x80\x04pickle", b"PK\x03\x04zip"])
def test_other_formats_are_no_tensors(content, tmp_path):
    (tmp_path / "t.safetensors").write_bytes(content)
    with pytest.raises(Mistake, match="safetensors"):
        read_tensors(tmp_path / "t.safetensors")


def test_missing_tensors_are_a_mistake(tmp_path):
    with pytest.raises(Mistake, match="missing"):
        read_tensors(tmp_path / "t.safetensors")


@pytest.mark.parametrize("where", range(-40, 0, 7))
def test_a_flipped_bit_is_told(where, tmp_path):
    path = tmp_path / "t.safetensors"
    write_tensors(path, {"a": torch.rand(5), "b": torch.arange(5)})
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(Mistake, match="damaged"):
        read_tensors(path)


def test_the_same_tensors_are_the_same_file(tmp_path):
    for name in ("a", "b"):
        write_tensors(tmp_path / name, {f"{i}": torch.arange(i) for i in range(20)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_tensors_of_others_carry_no_digest_and_are_read(tmp_path):
    save_file({"a": torch.arange(3)}, tmp_path / "t.safetensors")
    assert read_tensors(tmp_path / "t.safetensors")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1e999", '{"a": -Infinity}', "9" * 5000])
def test_what_is_no_json_number_is_refused(text, tmp_path):
    (tmp_path / "value.json").write_text(text)
    with pytest.raises(Mistake, match="JSON"):
        read_json(tmp_path / "value.json")


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b", "\udc80", "x" * 300])
def test_a_name_that_no_file_can_have_is_a_mistake(name, tmp_path):
    with pytest.raises(Mistake, match="--out"):
        check_new(Path(name) if name in ("", ".") else tmp_path / name)
