// `nacre save --format {{name}} -o FILE IMAGE` writes a line for each file: mode, size and path.

export const exporter = {
  write(format, image, out, opts) {
    const files = image.files();
    for (;;) {
      const entries = files.next(1000);
      if (entries.length === 0) return;
      const lines = entries.map((entry) => `${entry.mode.toString(8).padStart(4, "0")} ${entry.size} ${entry.path}\n`);
      out.write(utf8(lines.join("")));
    }
  },
};

function utf8(text) {
  const escaped = encodeURIComponent(text).match(/%..|./g) ?? [];
  return Uint8Array.from(escaped, (part) => (part.length > 1 ? parseInt(part.slice(1), 16) : part.charCodeAt(0)));
}
