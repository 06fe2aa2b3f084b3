"""Each setting beside its alternatives: the default among them, kept as it is measured."""

import pytest
import torch

from jemstone.data import DataSet
from jemstone.experiments import Eyes, Run, begin
from jemstone.experiments.ablations import ablate, pooled, sampling, train_ablations
from jemstone.experiments.ablations.figures import sampled_figures
from jemstone.experiments.ablations.question import decide
from jemstone.experiments.ablations.sampling import questions, questions_of_jempp
from jemstone.experiments.ablations.training import training_questions, variants
from jemstone.metrics import look, nearest_to
from jemstone.recipes import build_sampler, build_walk, changed, checked, flattened, recipe_for
from jemstone.training import Device
from jemstone.types import Generator

TINY = {
    "network.architecture": "convnet",
    "network.width": 2,
    "optimisation.steps": 2,
    "optimisation.batch_size": 8,
    "guard.retries": 0,
    "attack.steps": 1,
    "walk.steps": 1,
    "chains.size": 20,
    "sampling.attack.steps": 2,
    "sampling.energy.steps": 2,
    "sampling.combined.steps": 2,
}
SIZES = [("digits", "small"), ("cifar10", "paper"), ("moons", "quick")]


@pytest.fixture(scope="module")
def data(digits):
    return DataSet("digits", digits.train.first(80), digits.test.first(40), digits.classes, False)


@pytest.fixture(scope="module")
def eyes(data, eye):
    held_out, learnt = look(data.test, eye), look(data.train, eye)
    return Eyes(eye, held_out, learnt, nearest_to(learnt, held_out))


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    folder, opened = tmp_path_factory.mktemp("runs"), {}
    for name in ("robust-jem", "jempp"):
        recipe = changed(recipe_for(name), TINY)
        opened[name] = begin(folder / name, recipe, data, device=Device())
        opened[name].train(data)
    return opened


def timeless(answers):
    return [
        {**a, "rows": [{k: v for k, v in r.items() if k != "seconds_per_image"} for r in a["rows"]]}
        for a in answers
    ]


@pytest.mark.parametrize(("name", "budget"), SIZES)
def test_every_alternative_is_a_recipe_and_the_default_is_among_them(name, budget, digits):
    recipe, jempp = (recipe_for(r, name, budget) for r in ("robust-jem", "jempp"))
    asked = [(recipe, q) for q in questions(recipe, digits)]
    asked += [(jempp, q) for q in questions_of_jempp(jempp)]
    assert len({question.id for _, question in asked}) == len(asked)
    for of, question in asked:
        first = [c for c in question.choices if c.sampler == question.choices[0].sampler]
        values = [choice.value for choice in first]
        assert len(set(values)) == len(values)
        assert question.default in values
        assert len(values) > 1 or question.note
        for sampler in {choice.sampler for choice in question.choices}:
            assert [c.value for c in question.choices if c.sampler == sampler] == values
        for choice in question.choices:
            checked(changed(of, choice.fields))
            if choice.value == question.default and question.id != "contrast-pivot":
                assert changed(of, choice.fields) == of
        fields = dict(flattened(of))
        assert question.field.split(" ")[0].rstrip(",") in fields


def test_a_network_without_batch_norm_has_one_mode(digits):
    without, of_paper = (recipe_for("robust-jem", *size) for size in SIZES[:2])
    (one,), two = questions(without, digits)[-1].choices, questions(of_paper, digits)[-1].choices
    assert [one.value] + [choice.value for choice in two] == ["eval", "batch", "eval"]


def test_jempps_evaluation_is_the_loop_of_its_code(smooth, images, labels, generator):
    """On [-1, 1]: an outer step of 1, then five inner ones, each of the clipped gradient."""
    model, recipe = smooth(), recipe_for("jempp", "digits", "paper")
    evaluated = questions_of_jempp(recipe)[-1].choices[-1].fields
    assert evaluated["sampling.energy.noise"] == 0.005
    quiet = {**evaluated, "sampling.energy.noise": 0.0, "sampling.energy.steps": 2}
    walk = build_walk(changed(recipe, quiet).sampling.energy, lambda m, x, y: m.energy(x, y))
    u = 2 * images - 1
    for _ in range(2):
        u.requires_grad_()
        stem = model.split()[0]((u + 1) / 2)
        (p,) = torch.autograd.grad(-model.split()[1](stem)[range(8), labels].sum(), stem)
        u = u.detach()
        for _ in range(6):  # the gradient at the pixels is that by the stem's output, sent back
            v = u.clone().requires_grad_()
            (g,) = torch.autograd.grad((model.split()[0]((v + 1) / 2) * p).sum(), v)
            u = (u - 1.0 * g.clamp(-1, 1)).clamp(-1, 1)
    torch.testing.assert_close(2 * walk(model, images, labels, generator) - 1, u)


def rows_of(*figures):
    names = ("value", "fid", "is", "passes_per_image")
    return [{"sampler": "energy", **dict(zip(names, row, strict=True))} for row in figures]


@pytest.mark.parametrize(
    ("rows", "chosen", "told"),
    [
        (rows_of((1, 2.0, 9.0, 5), (2, 1.81, 9.0, 5)), 1, "no FID is over 10 %"),
        (rows_of((1, 2.0, 9.0, 5), (2, 1.79, 9.0, 5)), 2, "the lowest FID: 1.79"),
        (rows_of((1, 2.0, 9.0, 5), (2, 3.0, 9.5, 5)), 1, "IS would choose 2: 9.5"),
        (rows_of((1, 2.0, 9.0, 50), (2, 2.1, 9.0, 10)), 1, "2 has 2.1 at 10 passes, not 50"),
        (rows_of((1, None, None, None), (2, 3.0, 9.0, 5)), 2, "the default has none"),
        (rows_of((1, None, None, None), (2, None, None, None)), 1, "the default stays"),
    ],
)
def test_the_default_stays_unless_another_is_clearly_better(rows, chosen, told):
    value, why = decide(1, rows)
    assert value == chosen
    assert told in why
    # Rows of another sampler are told, and do not choose.
    assert decide(1, [*rows, {**rows[1], "sampler": "attack", "fid": 0.01}]) == (value, why)


def test_passes_are_those_of_attack_and_walk(runs):
    run = runs["robust-jem"]
    counted = {name: run.sampler(name).passes for name in ("init", "attack", "energy", "combined")}
    assert counted == {"init": 0, "attack": 2, "energy": 2, "combined": 4}


def test_an_interrupted_study_goes_on_where_it_was(runs, data, eyes, monkeypatch):
    asked = questions(runs["robust-jem"].recipe, data)
    few = (asked[0], asked[-1], asked[5])  # of contrast, of mode, of passes
    monkeypatch.setattr(sampling, "questions", lambda *_: few)
    run, jempp, shelf, told = runs["robust-jem"], runs["jempp"], {}, []
    settings = {"count": 40, "generator": Generator(0), "device": Device()}
    whole = ablate(run, jempp, data, eyes, **settings)

    def interrupts(line):
        told.append(line)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(run, jempp, data, eyes, **settings, shelf=shelf, progress=interrupts)
    found = ablate(run, jempp, data, eyes, **settings, shelf=shelf, progress=told.append)
    assert timeless(found) == timeless(whole)
    assert len(told) == len(shelf) + 1  # the one that was interrupted is told twice
    # A setting that two ask for is drawn once.
    assert len(shelf) < sum(len(answer["rows"]) for answer in found)
    assert [answer["id"] for answer in found][-1] == "jempp-step"
    assert found[1]["why"].startswith("the network has no batch norm")
    again = ablate(run, jempp, data, eyes, **settings, shelf=shelf, progress=told.append)
    assert again == found
    assert len(told) == len(shelf) + 1
    # Other weights are other figures.
    monkeypatch.setattr(sampling, "questions", lambda *_: few[1:2])
    monkeypatch.setattr(Run, "weights_sha256", "f" * 64)
    kept = len(shelf)
    ablate(run, None, data, eyes, **settings, shelf=shelf)
    assert len(shelf) == kept + 1


def test_a_row_has_the_figures_of_its_setting(runs, data, eyes, monkeypatch):
    run, asked = runs["robust-jem"], questions(runs["robust-jem"].recipe, data)
    monkeypatch.setattr(sampling, "questions", lambda *_: asked[:1])
    (found,) = ablate(run, None, data, eyes, count=40, generator=Generator(0), device=Device())
    settings = {"count": 40, "classes": 10, "generator": Generator(0), "device": Device()}
    for row in found["rows"]:
        recipe = changed(run.recipe, {"sampling.contrast.factor": row["value"]})
        sampler = build_sampler(recipe, "combined", run.gaussian)
        by_hand = sampled_figures(run.model(), sampler, eyes, **settings)
        assert row["fid"] == pytest.approx(by_hand["fid"])
        assert row["nearest"] == pytest.approx(by_hand["nearest"])


def test_pooled_figures_are_means(runs):
    rows = rows_of((1, 2.0, 9.0, 5), (2, 3.0, 9.0, 5))
    other = rows_of((1, 4.0, 9.0, 5), (2, 1.0, 9.0, 5))
    asked = {"id": "q", "default": 1, "chosen": 1, "why": ""}
    first, second = ({**asked, "rows": found} for found in (rows, other))
    (both,) = pooled([[first], [second]])
    assert [row["fid"] for row in both["rows"]] == [3.0, 2.0]
    assert [row["se"]["fid"] for row in both["rows"]] == [1.0, 1.0]
    assert both["chosen"] == 2
    assert pooled([[both]]) == [both]


def test_training_is_ablated_and_goes_on_where_it_was(data, eyes, tmp_path):
    recipe, shelf, told = changed(recipe_for("robust-jem"), TINY), {}, []
    settings = {"steps": 2, "count": 40, "generator": Generator(0), "device": Device()}
    whole = train_ablations(recipe, data, eyes, folder=tmp_path / "a", **settings)

    def interrupts(line):
        told.append(line)
        if len(told) == 3:
            raise KeyboardInterrupt

    settings |= {"shelf": shelf, "folder": tmp_path / "b"}
    with pytest.raises(KeyboardInterrupt):
        train_ablations(recipe, data, eyes, **settings, progress=interrupts)
    found = train_ablations(recipe, data, eyes, **settings, progress=told.append)
    assert timeless(found) == timeless(whole)
    assert len(told) == len(shelf) + 1 == 7
    assert {row["value"] for row in found[1]["rows"]} == {"clean", "adversarial"}
    for answer in found:
        by_sampler = [row for row in answer["rows"] if row["sampler"] == "energy"]
        assert all(row["robust_accuracy"] <= row["accuracy"] for row in by_sampler)
        assert len({row["fid"] for row in by_sampler}) == 2  # other weights, other samples
        assert "accuracy clean / attacked" in answer["why"]


def test_a_run_that_diverges_has_no_figures_and_is_told(data, eyes, tmp_path):
    lost = {**TINY, "optimisation.learning_rate": 1e9, "optimisation.warmup": 0}
    recipe = changed(recipe_for("robust-jem"), lost)
    settings = {"steps": 4, "count": 40, "generator": Generator(0), "device": Device()}
    for answer in train_ablations(recipe, data, eyes, folder=tmp_path, **settings):
        assert answer["chosen"] == answer["default"]
        for row in answer["rows"]:
            assert row["fid"] is row["accuracy"] is None
            assert "diverged" in row["diverged"]


@pytest.mark.parametrize(("name", "budget"), SIZES)
def test_every_change_to_training_is_one_that_can_be_trained(name, budget):
    recipe = recipe_for("robust-jem", name, budget)
    assert {run for _, runs in training_questions(recipe) for run in runs.values()} == set(
        variants(recipe)
    )
    for run, fields in variants(recipe).items():
        other = checked(changed(recipe, fields))
        assert (other == recipe) == (run == "as-it-is")
