"""Where the choices of a random history come from."""

from __future__ import annotations

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

NAME = "even"


class EvenProvider(HypothesisProvider):
    """Every choice as likely as any other, and every run from scratch.

    Hypothesis itself prefers small numbers, constants found in whatever code is loaded, and
    variations of earlier runs. That meets the same few histories again and again, and others
    whenever unrelated code changes. What fails is still shrunk as usual.
    """

    def draw_integer(
        self,
        min_value: int | None = None,
        max_value: int | None = None,
        *,
        weights: dict[int, float] | None = None,
        shrink_towards: int = 0,
    ) -> int:
        assert self._random is not None
        assert min_value is not None
        assert max_value is not None
        assert weights is None
        return self._random.randint(min_value, max_value)


AVAILABLE_PROVIDERS[NAME] = f"{EvenProvider.__module__}.{EvenProvider.__qualname__}"
