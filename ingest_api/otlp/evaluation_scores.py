"""How the score of an evaluation becomes the value of a feedback: as it is, or by a scale that the operator sets. Pure.

A score is any number; a value is an integer from −10 to 10. Without a scale, a score that is no such integer is refused
and never rounded. With one, the scale's ends become −10 and 10, what lies between goes to the nearest integer, and what
lies outside is refused. The score itself stays in the metadata as it was.
"""

import re
from dataclasses import dataclass, field

from runtime.http_errors import ApiError
from schemas.limits import HIGHEST_VALUE, LOWEST_VALUE

SETTING = "FEEDBACK_EVALUATION_SCORES"
_NUMBER = r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?"
_SCALE = re.compile(rf"(?:([^=,]{{1,200}})=)?({_NUMBER})\.\.({_NUMBER})")


@dataclass(frozen=True)
class ScoreScale:
    """The score that becomes −10, and the one that becomes 10; the first may be the higher one."""

    worst: float
    best: float


@dataclass(frozen=True)
class ScoreScales:
    """The scales of evaluations by name, and that of all others; None: their scores count as they are."""

    by_name: dict[str, ScoreScale] = field(default_factory=dict)
    of_others: ScoreScale | None = None

    def value_of(self, name: str, score: object) -> int:
        """The value for a score of the evaluation with this name; ApiError where there is none."""
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise ApiError("gen_ai.evaluation.score.value is required, and must be a number", "score")
        scale = self.by_name.get(name, self.of_others)
        if scale is None:
            if score == int(score) and LOWEST_VALUE <= score <= HIGHEST_VALUE:
                return int(score)
            raise ApiError(
                f"gen_ai.evaluation.score.value must be an integer from {LOWEST_VALUE} to {HIGHEST_VALUE} unless"
                f" {SETTING} has a scale for it, got {score:g}",
                "score",
            )
        low, high = sorted((scale.worst, scale.best))
        if not low <= score <= high:
            raise ApiError(f"gen_ai.evaluation.score.value must be from {low:g} to {high:g}, got {score:g}", "score")
        share = (score - scale.worst) / (scale.best - scale.worst)
        return round(LOWEST_VALUE + share * (HIGHEST_VALUE - LOWEST_VALUE))


def scales_in(text: str) -> ScoreScales:
    """The scales in a setting such as `0..1` or `0..1,toxicity=1..0`. ValueError if it is none."""
    by_name: dict[str, ScoreScale] = {}
    others: list[ScoreScale] = []
    for each in filter(None, map(str.strip, text.split(","))):
        found = _SCALE.fullmatch(each)
        if found is None or float(found[2]) == float(found[3]):
            raise ValueError(
                "must be scales with commas between them, each as worst..best or name=worst..best, such as"
                f" 0..1,toxicity=1..0; got {each}"
            )
        scale = ScoreScale(float(found[2]), float(found[3]))
        if found[1]:
            by_name[found[1].strip()] = scale
        else:
            others.append(scale)
    if len(others) > 1:
        raise ValueError("must have one scale without a name, for all evaluations that have none of their own")
    return ScoreScales(by_name, others[0] if others else None)
