"""`nacre image prune --policy weekly,weeks=4` keeps the newest image of each week and repository, as backups are kept."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.prune import Action, Verdict
from wit_world.imports.types import Diagnostic, Error_Invalid

DAY = 24 * 60 * 60
# 1970 began on a Thursday; weeks begin on Monday.
MONDAY = 4 * DAY


class Prune(exports.Prune):
    def decide(self, policy, now, opts, candidates):
        weeks = number(next((opt.value for opt in opts if opt.key == "weeks"), "8"))
        kept = newest_of_each_week(candidates, week(now) - weeks)
        verdicts = []
        for index, image in enumerate(candidates):
            if image.pinned or image.in_use:
                continue
            if index in kept:
                verdicts.append(Verdict(index, Action.KEEP, "the newest of its week"))
            else:
                verdicts.append(Verdict(index, Action.DELETE, reason(image, now, weeks)))
        return verdicts


def newest_of_each_week(images, oldest):
    newest = {}
    for index, image in enumerate(images):
        for repository in repositories(image):
            key = (repository, week(image.created))
            if key[1] > oldest and (key not in newest or image.created > images[newest[key]].created):
                newest[key] = index
    return set(newest.values())


def repositories(image):
    """The names without their tags; an image without a name stands for itself."""
    return {name.rsplit(":", 1)[0] for name in image.names} or {image.id}


def week(seconds):
    return (seconds - MONDAY) // (7 * DAY)


def reason(image, now, weeks):
    age = (now - image.created) // DAY
    return f"made {age} days ago, before the last {weeks} weeks" if week(image.created) <= week(now) - weeks else "not the newest of its week"


def number(text):
    if not text.isdigit() or int(text) == 0:
        raise Err(Error_Invalid([Diagnostic("bad-value", f"invalid option 'weeks={text}'", "want a number from 1", None)]))
    return int(text)
