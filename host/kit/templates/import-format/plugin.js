// `nacre import hello.sh` makes an image of a shell script: all it holds, and what it runs.

export const importer = {
  probe(format, head) {
    const start = String.fromCharCode(...head.raw.slice(0, 9));
    return start === "#!/bin/sh" ? "maybe" : "no";
  },

  convert(format, sources, image, opts) {
    if (sources.length !== 1) throw { tag: "other", val: "one script makes one image" };
    const [script] = sources;
    const meta = { mode: 0o755, uid: 0, gid: 0, mtime: 0, nanos: 0, link: null, device: null, xattrs: [] };
    const entry = { path: "run", kind: "file", size: script.size(), ...meta };
    image.layer("{{name}}").add(entry, { tag: "source", val: script });
    image.setConfig('{"Entrypoint": ["/run"]}');
  },
};
