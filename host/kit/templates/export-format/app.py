"""`nacre save --format {{name}} -o FILE IMAGE` writes a line for each file: mode, size and path."""

from wit_world import exports


class Exporter(exports.Exporter):
    def write(self, format, image, out, opts):
        files = image.files()
        while entries := files.next(1000):
            lines = [f"{entry.mode:04o} {entry.size} {entry.path}\n" for entry in entries]
            out.write("".join(lines).encode())
