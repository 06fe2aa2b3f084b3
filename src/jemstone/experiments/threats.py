"""Within which balls a model is attacked, and which held-out images in the quick suite."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from jemstone.data import DataSet, Images
from jemstone.errors import Mistake
from jemstone.metrics.autoattack import SMALLEST_SIDE
from jemstone.recipes.schema import Attack
from jemstone.types import Generator

__all__ = ["FIELD_EPS", "ThreatModel", "attacked_images", "has_autoattack", "radii", "usual"]

FIELD_EPS = 8 / 255
"""The radius in Linf at which papers attack photographs."""

# In [0, 1]: what the budgets train digits and mnist with, and the field's ball on photographs.
_EPS = {"digits": 0.1, "mnist": 0.1, "fashion-mnist": 0.1}
_L2_EPS = 0.5
_ATTACKED = 1000  # held-out images at most: every one costs hundreds of passes


def attacked_images(images: Images, generator: Generator) -> Images:
    """Choose the held-out images that are attacked: all, or 1,000 drawn without replacement.

    Args:
        images: held out.
        generator: the seed of the choice.
    """
    if len(images) <= _ATTACKED:
        return images
    chosen = generator.fold("attacked").permutation(len(images))[:_ATTACKED].sort().values
    return Images(images.pixels[chosen], images.labels[chosen])


def radii(norm: str, eps: float, data: DataSet) -> list[float]:
    """Return the radii to judge at: half the threat's, the whole, and the field's 8/255.

    Args:
        norm: of the threat model, linf or l2.
        eps: its radius in [0, 1] pixels.
        data: colour images are held to 8/255 in Linf too.
    """
    return sorted({eps / 2, eps, *usual(norm, data)})


def usual(norm: str, data: DataSet) -> list[float]:
    """Return the radii that papers quote for such data: 8/255 in Linf on colour images, or none.

    Args:
        norm: of the ball, linf or l2.
        data: that is judged on.
    """
    return [FIELD_EPS] if norm == "linf" and data.shape[0] == 3 else []


def has_autoattack() -> bool:
    """Tell whether AutoAttack, and Square with it, is installed."""
    return find_spec("pyautoattack") is not None


@dataclass(frozen=True)
class ThreatModel:
    """The balls within which a model is attacked.

    Args:
        data: whose images are attacked.
        trained: the attack of the model's recipe; None for somebody else's classifier.
        asked_norm: linf or l2; by default the recipe's.
        asked_eps: the radius, in [0, 1] pixels; by default the recipe's, or one usual for the data.
    """

    data: DataSet
    trained: Attack | None = None
    asked_norm: str | None = None
    asked_eps: float | None = None

    @property
    def norm(self) -> str:
        """That the model is attacked in."""
        return self.asked_norm or (self.trained.norm if self.trained else "linf")

    @property
    def eps(self) -> float:
        """The radius, in [0, 1] pixels."""
        if self.asked_eps is not None:
            return self.asked_eps
        if self.trained is not None and self.trained.norm == self.norm:
            return self.trained.eps
        return self.linf_eps if self.norm == "linf" else _L2_EPS

    @property
    def linf_eps(self) -> float:
        """Radius of the Linf ball in which unknown images are attacked."""
        if self.asked_eps is not None and self.norm == "linf":
            return self.asked_eps
        if self.trained is not None and self.trained.norm == "linf" and self.trained.eps > 0:
            return self.trained.eps
        return _EPS.get(self.data.name, FIELD_EPS)

    @property
    def balls(self) -> list[tuple[str, list[float]]]:
        """By norm, the radii of the strongest attacks: the model's own, and what a reviewer adds.

        Those are the field's 8/255 on colour images, and one ball of the other norm, which the
        model was not trained in; neither where norm or radius were asked for. Images that Square
        cannot tile in L2 are not attacked there.
        """
        if self.asked_norm is not None or self.asked_eps is not None:
            return [(self.norm, [self.eps])]
        own = (self.norm, [self.eps, *usual(self.norm, self.data)])
        if self.norm == "l2":
            return [own, ("linf", [self.linf_eps])]
        return [own, ("l2", [_L2_EPS])] if self.knows_l2 else [own]

    @property
    def knows_l2(self) -> bool:
        """Whether every attack that is installed can attack these images in L2."""
        return not has_autoattack() or min(self.data.shape[1:]) >= SMALLEST_SIDE

    def check(self) -> None:
        """Refuse a ball in which nothing is measured.

        Raises:
            Mistake: where it is a point, or Square, which is installed, cannot tile the images.
        """
        if not self.eps > 0:
            raise Mistake(
                f"the run was trained in a ball of radius {self.eps:g}: give another --eps"
            )
        if self.norm == "l2" and not self.knows_l2:
            side = f"{SMALLEST_SIDE} x {SMALLEST_SIDE}"
            raise Mistake(f"Square in L2 needs images of {side} at least: give --norm linf")
