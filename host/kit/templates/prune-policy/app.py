"""`nacre image prune --policy {{name}},days=7` deletes images that were not used for a week."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.prune import Action, Verdict
from wit_world.imports.types import Diagnostic, Error_Invalid

DAY = 24 * 60 * 60


class Prune(exports.Prune):
    def decide(self, policy, now, opts, candidates):
        days = number(next((opt.value for opt in opts if opt.key == "days"), "30"))
        verdicts = []
        for index, image in enumerate(candidates):
            idle = (now - (image.last_used or image.pulled or image.created)) // DAY
            if idle > days and not image.pinned and not image.in_use:
                verdicts.append(Verdict(index, Action.DELETE, f"unused for {idle} days"))
        return verdicts


def number(text):
    if not text.isdigit():
        raise Err(Error_Invalid([Diagnostic("bad-value", f"invalid option 'days={text}': want a number of days", None, None)]))
    return int(text)
