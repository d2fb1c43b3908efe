"""`nacre search --filter rank=fit TERM` sorts what was found: names that fit the term first, then by stars."""

import math

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.search import Pick
from wit_world.imports.types import Diagnostic, Error_Invalid

# How much a name that fits counts against ten times the stars.
WEIGHTS = {"fit": 10.0, "popular": 1.0}


class Search(exports.Search):
    def filter(self, term, opts, hits):
        weight = weight_of([opt.value for opt in opts])
        return [Pick(index, round(score(term, hit, weight), 3), note(hit)) for index, hit in enumerate(hits)]


def weight_of(values):
    if len(values) != 1 or values[0] not in WEIGHTS:
        message = f"invalid filter 'rank={','.join(values)}'"
        raise Err(Error_Invalid([Diagnostic("bad-value", message, f"want one of {', '.join(WEIGHTS)}", None)]))
    return WEIGHTS[values[0]]


def score(term, hit, weight):
    popularity = math.log10(1 + hit.stars) + (2 if hit.official else 0)
    return weight * fit(term.lower(), hit.name.lower()) + popularity


def fit(term, name):
    """From 0 to 1: the whole name, its last part, a word of it, or a part of a word."""
    last = name.rsplit("/", 1)[-1]
    if term in (name, last):
        return 1.0
    words = last.replace("_", "-").split("-")
    return 0.7 if term in words else 0.4 if term in last else 0.0


def note(hit):
    return "official" if hit.official else None
