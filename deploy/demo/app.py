"""The app of the demo: its models, prompts, organisations and users. All names are plainly made up."""

from random import Random
from typing import NamedTuple

from deploy.demo.languages import LANGUAGES


class Model(NamedTuple):
    """A model: how often its answers are good, how long one takes, and US cents for 1,000 tokens in and out."""

    name: str
    provider: str
    quality: float
    latency_ms: float
    cents_in: float
    cents_out: float


MODELS = (
    Model("large-3", "provider-a", 0.86, 2400, 0.25, 1.0),
    Model("medium-3", "provider-a", 0.74, 1100, 0.05, 0.2),
    Model("small-2", "provider-b", 0.56, 420, 0.01, 0.04),
)
_MODEL_SHARES = (3, 5, 3)


class Prompt(NamedTuple):
    """A prompt: its name, what it adds to a model's quality, and what it tells the model."""

    name: str
    gain: float
    system: str


SUPPORT_V1 = Prompt("support-answer-v1", -0.24, "Answer questions about the product.")
SUPPORT_V2 = Prompt(
    "support-answer-v2",
    0.1,
    "Answer from the passages found, in the language of the question, with steps in their order. Say so if you do not"
    " know.",
)
SUMMARY = Prompt("summarise-notes", 0.04, "Summarise what you are given. Add nothing.")
DRAFT = Prompt("draft-mail", 0.0, "Write the mail that is asked for: friendly, short, no placeholders.")

FEATURES = ("support", "summary", "draft")
_FEATURE_SHARES = (11, 5, 4)
ENVIRONMENTS = ("production", "staging", "development")
_ENVIRONMENT_SHARES = (16, 3, 1)
_PLANS = ("free", "team", "business")
# Hours by which the day of a region is ahead of UTC.
REGIONS = {"eu": 1, "us": -6, "apac": 8}
_REGION_SHARES = (6, 3, 2)
_LANGUAGES_OF = {"eu": ("en", "de", "es", "ar"), "us": ("en", "es"), "apac": ("ja", "hi", "en")}
_ORGANISATIONS = 24


class Organisation(NamedTuple):
    """A customer of the app."""

    name: str
    plan: str
    region: str
    language: str
    users: tuple[str, ...]


class Visit(NamedTuple):
    """Who uses the app, for what, and in what language."""

    organisation: Organisation
    user: str
    language: str
    environment: str
    feature: str
    model: Model


class App:
    """Customers and their users, a few of them large and most small."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._organisations = [self._organisation(number) for number in range(1, _ORGANISATIONS + 1)]
        self._shares = [1 / number**0.8 for number in range(1, _ORGANISATIONS + 1)]

    def _organisation(self, number: int) -> Organisation:
        (region,) = self._random.choices(tuple(REGIONS), _REGION_SHARES)
        # Each language has a customer, whatever chance says.
        language = LANGUAGES[number - 1] if number <= len(LANGUAGES) else self._random.choice(_LANGUAGES_OF[region])
        first = number * 40
        users = tuple(f"user-{first + each:04}" for each in range(self._random.randint(4, 36)))
        return Organisation(f"org-{number:02}", self._random.choice(_PLANS), region, language, users)

    def visit(self) -> Visit:
        """Somebody comes, wanting something."""
        random = self._random
        (organisation,) = random.choices(self._organisations, self._shares)
        return Visit(
            organisation,
            random.choice(organisation.users),
            organisation.language if random.random() < 0.85 else "en",
            random.choices(ENVIRONMENTS, _ENVIRONMENT_SHARES)[0],
            random.choices(FEATURES, _FEATURE_SHARES)[0],
            random.choices(MODELS, _MODEL_SHARES)[0],
        )
