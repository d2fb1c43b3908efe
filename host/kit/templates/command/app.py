"""`nacre {{name}} IMAGE` counts the files of an image."""

from wit_world import exports
from wit_world.imports import store, terminal


class Runner(exports.Runner):
    def run(self, command, args):
        files = store.open(args[0].value, None).files()
        count = size = 0
        while entries := files.next(1000):
            count += len(entries)
            size += sum(entry.size for entry in entries)
        terminal.text(f"{count} files, {size} bytes")
        return 0
