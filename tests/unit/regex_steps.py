r"""Whether a regular expression may need more steps than some multiple of its text's length, told from its automaton.

A backtracking engine takes as many steps as there are ways to read a text. They grow with the square of its length, or
worse, only where some text can be read again and again in one place, in a later one, and on the way from the first to
the second: as spaces in `\s*;?\s*x`. A search may begin at every character; that is one more place, before the pattern,
where anything is read again and again: as in `\s+$`. (Weideman et al., Analyzing matching time behavior of backtracking
regular expression matchers.) A place from which every text matches does no harm: nothing is tried after it.

What is bounded, as `x{1,64}`, is read as `x{1,2}`; a lookaround is read and then forgotten.
"""

import re
from collections.abc import Iterable, Iterator
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

_UNBOUNDED = 1000
_SOME_OTHERS = "éß٣\u00a0\u2003中😀"
_CATEGORIES = {
    sre.CATEGORY_DIGIT: (r"\d", False), sre.CATEGORY_NOT_DIGIT: (r"\d", True),
    sre.CATEGORY_SPACE: (r"\s", False), sre.CATEGORY_NOT_SPACE: (r"\s", True),
    sre.CATEGORY_WORD: (r"\w", False), sre.CATEGORY_NOT_WORD: (r"\w", True),
}  # fmt: skip

Characters = frozenset[str]
Steps = list[dict[str, set[int]]]


class _Skip(NamedTuple):
    """A way from one place to another without reading. `unless` are characters that must not follow."""

    to: int
    unless: Characters = frozenset()
    is_free: bool = True
    """Whether it needs nothing: not an anchor, which only the end of the text fulfils for certain."""


class _Automaton:
    """The places of a pattern are numbers."""

    def __init__(self, tree: Any, flags: int, *, is_bytes: bool, searched: bool) -> None:
        self._flags, self._is_bytes, self._searched = flags, is_bytes, searched
        self.alphabet = [chr(code) for code in range(128)] + ["ÿ"] * is_bytes + list(_SOME_OTHERS) * (not is_bytes)
        self._skips: list[list[_Skip]] = []
        self._reads: list[list[tuple[Characters, int]]] = []
        self.atomic: list[int] = []
        """Of each place the repetition around it that is never gone back into; 0: none."""
        self.bodies: list[Any] = []
        """What stands in those repetitions."""
        self._group = 0
        start = self._new()
        if searched:
            self._reads[start].append((frozenset(self.alphabet), start))
        self.end = self._sequence(tree, start)

    def steps(self) -> Steps:
        """Of each place, where it leads by each character."""
        return [self._steps_from(place) for place in range(len(self._skips))]

    def safe(self, steps: Steps, *, whole: bool) -> set[int]:
        """The places from which every text matches; `whole`: to its end."""
        ends = {place for place in range(len(steps)) if self._ends(place, free=False)}
        done = set() if whole else {place for place in range(len(steps)) if self._ends(place, free=True)}

        def is_safe(place: int) -> bool:
            # Wherever a text may lead: somewhere there it is done, or it may end there and go on with anything.
            waiting = [frozenset({place})]
            for places in waiting:
                if not places & done:
                    after = [frozenset().union(*(steps[at].get(each, ()) for at in places)) for each in self.alphabet]
                    if not (places & ends and all(after)):
                        return False
                    waiting += {each for each in after if each not in waiting}
            return True

        return set(filter(is_safe, range(len(steps))))

    def _closure(self, place: int, *, free: bool = False) -> Iterator[tuple[int, Characters]]:
        begin: tuple[int, Characters] = (place, frozenset())
        seen, waiting = {begin}, [begin]
        while waiting:
            at, unless = waiting.pop()
            yield at, unless
            for skip in self._skips[at]:
                after = (skip.to, unless | skip.unless)
                if after not in seen and (skip.is_free or not free):
                    seen.add(after)
                    waiting.append(after)

    def _ends(self, place: int, *, free: bool) -> bool:
        return any(at == self.end and not (free and unless) for at, unless in self._closure(place, free=free))

    def _steps_from(self, place: int) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for at, unless in self._closure(place):
            for characters, after in self._reads[at]:
                for character in characters - unless:
                    found.setdefault(character, set()).add(after)
        return found

    def _new(self) -> int:
        self._skips.append([])
        self._reads.append([])
        self.atomic.append(self._group)
        return len(self._skips) - 1

    def _sequence(self, nodes: Iterable[Any], at: int) -> int:
        for op, argument in nodes:
            at = self._node(op, argument, at)
        return at

    def _node(self, op: Any, argument: Any, at: int) -> int:
        after = self._new()
        if op is sre.AT:
            # The beginning of the text is one place, and its search is the match that is looked at anyway.
            if not (self._searched and argument in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING)):
                self._skips[at].append(_Skip(after, is_free=False))
        elif op in (sre.ASSERT, sre.ASSERT_NOT):
            self._sequence(argument[1], at)
            self._skips[at].append(_Skip(after, is_free=False))
        elif op is sre.SUBPATTERN:
            self._skips[self._sequence(argument[-1], at)].append(_Skip(after))
        elif op is sre.ATOMIC_GROUP:
            self._once(argument, at, after)
        elif op is sre.BRANCH:
            for branch in argument[1]:
                self._skips[at].append(_Skip(begin := self._new()))
                self._skips[self._sequence(branch, begin)].append(_Skip(after))
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            self._repeat(*argument, at, after)
        elif op is sre.POSSESSIVE_REPEAT:
            self._once([(sre.MAX_REPEAT, argument)], at, after)
        else:
            self._reads[at].append((self._characters(op, argument), after))
        return after

    def _repeat(self, least: int, most: int, body: Any, at: int, after: int) -> None:
        if least:
            at = self._sequence(body, at)
        self._skips[at].append(_Skip(begin := self._new()))
        end = self._sequence(body, begin)
        self._skips[end].append(_Skip(after))
        self._skips[at].append(_Skip(after))
        if most > _UNBOUNDED:
            self._skips[end].append(_Skip(begin))

    def _once(self, body: Any, at: int, after: int) -> None:
        """Of all ways to read the body only the first is tried."""
        self.bodies.append(body)
        outer, self._group = self._group, self._group or len(self.bodies)
        end = self._sequence(body, at)
        self._group = outer
        self._skips[end].append(_Skip(after, self._read_on(body)))

    def _read_on(self, body: Any) -> Characters:
        """What would have been read, and so cannot follow, where the body is any number of some characters."""
        ((op, argument),) = body if len(body) == 1 else ((None, None),)
        if op is sre.MAX_REPEAT and argument[1] > _UNBOUNDED and len(argument[2]) == 1:
            kind, of = argument[2][0]
            if kind in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN):
                return self._characters(kind, of)
        return frozenset()

    def _characters(self, op: Any, argument: Any) -> Characters:
        return frozenset(each for each in self.alphabet if self._is_read(op, argument, each))

    def _is_read(self, op: Any, argument: Any, character: str) -> bool:
        if op is sre.ANY:
            return character != "\n" or bool(self._flags & re.DOTALL)
        if op is sre.NOT_LITERAL:
            return not self._is_read(sre.LITERAL, argument, character)
        if op is sre.IN:
            negated = argument[0][0] is sre.NEGATE
            return negated != any(self._is_read(*each, character) for each in argument[negated:])
        if op is sre.CATEGORY:
            kind, negated = _CATEGORIES[argument]
            is_ascii = self._is_bytes or self._flags & re.ASCII
            return negated != bool(re.match(kind, character, re.ASCII if is_ascii else 0))
        cases = (character, character.lower(), character.upper()) if self._flags & re.IGNORECASE else (character,)
        least, most = argument if op is sre.RANGE else (argument, argument)
        if op not in (sre.LITERAL, sre.RANGE):
            raise NotImplementedError(f"{op} is not understood here")
        return any(least <= ord(each) <= most for each in cases if len(each) == 1)


def hostile_text(pattern: str | bytes, flags: int = 0, how: str = "search") -> str | None:
    """A text of which many in a row take more than proportionally many steps; None where there is none.

    `how` the pattern is used: `match`, `fullmatch`, or any other name, which searches.
    """
    tree = _parser.parse(pattern, flags)
    flags, is_bytes = tree.state.flags, isinstance(pattern, bytes)
    waiting: list[tuple[Any, bool, bool]] = [(tree, False, how == "fullmatch")]
    if how not in ("match", "fullmatch"):
        waiting.append((tree, True, False))
    while waiting:
        part, searched, whole = waiting.pop()
        automaton = _Automaton(part, flags, is_bytes=is_bytes, searched=searched)
        if (found := _hostile(automaton, whole)) is not None:
            return found
        if part is tree and not searched:
            waiting += [(body, False, False) for body in automaton.bodies]
    return None


def _hostile(automaton: _Automaton, whole: bool) -> str | None:
    steps = automaton.steps()
    safe = automaton.safe(steps, whole=whole)
    ahead = [_ahead(steps, place) for place in range(len(steps))]
    loops = [place for place in range(len(steps)) if place in ahead[place] and place not in safe]
    before = [place for place in range(len(steps)) if place in ahead[place]]
    for one in before:
        for other in loops:
            is_left = automaton.atomic[one] and automaton.atomic[one] == automaton.atomic[other]
            if other in ahead[one] and not is_left and (found := _read_twice(steps, safe, one, other)) is not None:
                return found
    return None


def _ahead(steps: Steps, place: int) -> set[int]:
    seen: set[int] = set()
    waiting = [place]
    while waiting:
        new = set().union(*steps[waiting.pop()].values()) - seen
        seen |= new
        waiting += new
    return seen


def _read_twice(steps: Steps, safe: set[int], one: int, other: int) -> str | None:
    """A text that leads from one place to itself, from it to the other, and from the other to itself by none that is
    safe; where they are the same, one that leads there in two ways."""
    begin = (one, one, other, False)
    seen, waiting = {begin}, [(begin, "")]
    for (first, way, second, parted), text in waiting:
        for character, firsts in steps[first].items():
            ways = steps[way].get(character, ())
            seconds = steps[second].get(character, set()) - safe if one != other else (None,)
            for a, b, c in ((a, b, b if c is None else c) for a in firsts for b in ways for c in seconds):
                after = (a, b, c, parted or one != other or a != b)
                if after == (one, other, other, True):
                    return text + character
                if after not in seen:
                    seen.add(after)
                    waiting.append((after, text + character))
    return None
