"""Everything that a reproduction measured is on its page, which needs nothing else."""

import base64
import io
import json
import re
from collections import Counter
from html.parser import HTMLParser

import pytest
import torch
from PIL import Image

from jemstone.report.reproduction import report_page
from jemstone.report.reproduction.matrix import PANELS, PAPERS, best_cell
from jemstone.report.reproduction.plots import training_plots
from jemstone.report.reproduction.trajectory import trajectory_view
from jemstone.report.reproduction.words import score, setting

VOID = {"meta", "img", "input", "br", "link"}


class Reader(HTMLParser):
    """Holds a page to its grammar, and keeps its words, tags and addresses."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words, self.addresses, self.ids = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.addresses += [attrs[name] for name in ("src", "href") if name in attrs]
        assert not [name for name in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open and "script" not in self.open:
            self.words.append(data)

    def count(self, tag, **wanted):
        wanted = {name.rstrip("_"): value for name, value in wanted.items()}
        return sum(name == tag and wanted.items() <= attrs.items() for name, attrs in self.tags)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.fixture
def whole(reproduction, walk, samples):
    shown = {f"{n}/{s}": samples() for n, s in (*PAPERS, ("jempp", "buffer"))}
    return reproduction(), shown, walk(), b"\x89PNG"


def lean(result):
    """Cut the studies, which are the slow part of a page, away."""
    return result | {"ablations": None, "stability": None, "training": []}


def check(text, result):
    """Hold a page to what every page must be."""
    page = Reader(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        assert address.startswith("data:") or address[1:] in page.ids, address
    assert "http" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!data:image/png)", text)
    assert page.count("link") == 0
    for row in result["rows"]:
        assert row["model"] in page.text
        for name in ("is", "fid"):
            assert f"{row['paper'][name]:.2f}" in page.text
            if row[name] is not None:
                assert " ".join(score(row[name]).split()) in page.text
        if row["status"] != "done":
            assert row["status"] in page.text
            assert row["error"] in page.text
    for claim in result["claims"]:
        for name in ("claim", "paper", "measured", "verdict", "better"):
            assert str(claim[name]) in page.text
    for cell in result["matrix"]:
        whys = [cell.get("error") or "", *cell.get("failed_seeds", {}).values()]
        assert all(why in page.text for why in whys)
    outlined = sum((cell["network"], cell["sampler"]) in PAPERS for cell in result["matrix"])
    assert page.count("td", class_="papers") == len(PANELS) * outlined
    shaded = [attrs for tag, attrs in page.tags if tag == "td" and "style" in attrs]
    assert len([a for a in shaded if "rgb" in a["style"]]) == len(PANELS) * len(result["matrix"])
    return page


@pytest.mark.parametrize("seeds", [(0, 1, 2), (4,), ()], ids=["three", "one", "none"])
def test_a_page_has_every_row_claim_and_cell_and_needs_nothing(reproduction, variant, seeds):
    result = variant(reproduction(seeds or (0,)))
    result["seeds"] = list(seeds)
    page = check(report_page(result, {}, None, None), result)
    assert ("±" in page.text.partition("Measured on")[0]) == (len(seeds) == 3)
    assert page.count("input") == page.count("img") == 0
    assert result["features"] in page.text


def test_a_whole_page_has_figures_studies_costs_and_recipes(whole):
    result, shown, _, _ = whole
    text = report_page(*whole)
    page = check(text, result)
    pictures = [src for src in page.addresses if src.startswith("data:image/png")]
    assert len(pictures) == len(shown) + 1  # the gradients' among them
    plots = [src for src in page.addresses if src.startswith("data:image/svg")]
    # Four of training, four of stability; FID and IS of each ablation, accuracy of one.
    assert len(plots) == 4 + 4 + 2 * len(result["ablations"]) + 1
    for study in result["ablations"]:
        assert study["what"] in page.text
        assert study["why"] in page.text
    for recipe in result["recipes"].values():
        assert " ".join(recipe.split()) in page.text
    for told in (result["command"], result["commit"], "384 MiB", "5.21 min", "21.3 ms", "115"):
        assert told in page.text
    sections = re.findall(r'href="#(\w+)"', text)
    assert set(sections) == {attrs["id"] for tag, attrs in page.tags if tag == "section"}


def test_plots_are_the_same_for_the_same_measurements(reproduction):
    assert training_plots(reproduction()) == training_plots(reproduction())


def test_the_slider_scrubs_through_every_frame(whole, walk):
    result, way = lean(whole[0]), walk(classes=3, channels=3)
    frames = len(way["stages"])
    text = report_page(result, {}, way, None)
    page = check(text, result)
    (slider,) = [attrs for tag, attrs in page.tags if tag == "input"]
    assert slider["type"] == "range"
    assert slider["aria-label"]
    assert (slider["min"], slider["max"], slider["step"]) == ("0", str(frames - 1), "1")
    sprites = re.findall(
        r"\.sprite-\d+ \{ background-image: url\(data:image/png;base64,(.*?)\)", text
    )
    assert len(sprites) == 3
    for number, sprite in enumerate(sprites):
        with Image.open(io.BytesIO(base64.b64decode(sprite))) as picture:
            assert picture.size == (8 * frames, 8)
            for t in range(frames):
                pixel = tuple(way["images"][t, number, :, 5, 3].tolist())
                assert picture.getpixel((8 * t + 3, 5)) == pixel
    data = json.loads(re.search(r'id="walk-data">(.*?)</script>', text)[1])
    assert data["last"] == frames - 1
    assert data["names"][:3] == ["init", "attack 1", "attack 2"]
    assert data["names"][-1] == "walk 10"
    torch.testing.assert_close(torch.tensor(data["energy"]).T, way["energy"], atol=1e-4, rtol=0)
    paths = [attrs["d"] for tag, attrs in page.tags if tag == "path"]
    assert len(paths) == 2 * 3
    assert all(len(path.split("L")) == frames for path in paths)
    assert re.search(r"\.graph \{[^}]*touch-action: pan-y", text)
    # Without a script the live part stays hidden, and the strip is open.
    assert page.count("div", id="live", hidden=None) == 1
    assert page.count("details", id="strip", open=None) == 1


def test_a_walk_that_exploded_is_shown_where_it_is_finite(whole, walk):
    way = walk()
    way["energy"][5, 0] = torch.nan
    way["energy"][7:, 1] = torch.inf
    text = report_page(lean(whole[0]), {}, way, None)
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(re.search(r'id="walk-data">(.*?)</script>', text)[1])["energy"][0][5] is None


def test_photographs_do_not_make_a_page_heavy(whole, walk, samples):
    way = walk(classes=10, channels=3, size=32, attack=30, walk=50)
    cells = {f"{n}/{s}": samples(3, 32) for n in ("a", "b", "c") for s in ("d", "e", "f", "g")}
    text = report_page(lean(whole[0]), cells, way, None)
    assert len(text) < 3e6
    assert "frames" in Reader(text).text


def test_every_stage_has_its_name_however_narrow_it_is(whole, walk):
    way = walk(attack=15, walk=60)
    view = trajectory_view(way)
    assert [stage["wide"] for stage in view["stages"]] == [False, True, False, True]
    track = report_page(lean(whole[0]), {}, way, None).partition('class="track stages"')[2]
    names = re.findall(r"<em>(\w+)</em>", track.partition("</div>")[0])
    assert names == ["init", "attack", "contrast", "walk"]


def test_ablations_say_what_fid_alone_would_choose(whole):
    result = lean(whole[0]) | {"ablations": whole[0]["ablations"]}
    text = report_page(result, {}, None, None)
    page = Reader(text)
    assert ">se<" not in text
    assert "<td>3.0 ± 0.2</td>" in text  # FID, over seeds
    for study in result["ablations"]:
        told = f"default {setting(study['default'])}; FID alone would choose"
        assert f"{told} {setting(study['chosen'])} ({study['why']})" in page.text
    assert "chosen" not in page.text.replace("not chosen", "")


def test_classes_have_their_names_without_a_walk(whole, samples):
    result = lean(whole[0]) | {"classes": ["zero", "one", "two", "three"]}
    text = report_page(result, {"robust-jem/combined": samples()}, None, None)
    assert "<span>zero</span><span>one</span>" in text


def test_what_others_wrote_is_escaped(whole, walk, samples, defaced):
    text = defaced(whole[0])
    hostile = text["data"]
    way = walk() | {"class_names": [hostile] * 4}
    way["stages"] = [hostile if stage == "walk" else stage for stage in way["stages"]]
    page = Reader(report_page(text, {f"{hostile}/{hostile}": samples()}, way, None))
    assert page.open == []
    assert page.count("script") == 3
    assert "alert(1)" in page.text
    assert all(address.startswith(("data:", "#")) for address in page.addresses)


def test_open_claims_say_where_their_means_point(reproduction):
    result = reproduction((4,))
    for number, claim in enumerate(result["claims"]):
        claim["verdict"] = "holds" if number == 0 else "inconclusive"
        claim["leans"] = (True, False, None)[number % 3]
    told = Counter(claim["leans"] for claim in result["claims"][1:])
    text = report_page(result, {}, None, None)
    assert text.count("<small>points the paper's way") == told[True] > 0
    assert text.count("<small>does not point the paper's way") == told[False] > 0


@pytest.mark.parametrize("fid", [0.5, 1.0, 2.0])
def test_the_best_cell_is_the_one_of_the_lowest_fid(fid):
    cells = [
        {"network": name, "sampler": "energy", "fid": {"mean": mean}}
        for name, mean in (("jempp", fid), ("robust-jem", fid + 0.1), ("classifier", fid + 5.0))
    ]
    for order in (cells, cells[::-1]):
        assert best_cell({"matrix": order}, "fid") == cells[0]
    assert best_cell({"matrix": []}, "fid") is None
