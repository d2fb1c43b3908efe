"""`nacre search --filter {{name}}=10 TERM` shows the results that at least ten people starred."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.search import Pick
from wit_world.imports.types import Diagnostic, Error_Invalid


class Search(exports.Search):
    def filter(self, term, opts, hits):
        least = max((stars(opt.value) for opt in opts), default=0)
        return [Pick(index, None, None) for index, hit in enumerate(hits) if hit.stars >= least]


def stars(text):
    if not text.isdigit():
        raise Err(Error_Invalid([Diagnostic("bad-value", f"invalid option '{{name}}={text}': want a number of stars", None, None)]))
    return int(text)
