// `nacre build --frontend {{name}} -f Imagefile .`: a file of `from IMAGE`, `copy SOURCE DEST` and `cmd PROGRAM`.

export const frontend = {
  build(frontend, request) {
    const platforms = request.platforms.length ? request.platforms : [request.buildPlatform];
    return platforms.map((platform) => image(request, platform));
  },
};

function image(request, platform) {
  const vertices = [];
  const push = (operation, label, at) => vertices.push({ operation, label, at, noCache: false }) - 1;
  const source = (val, label, at) => push({ tag: "source", val }, label, at);
  let output = source({ tag: "scratch" }, "scratch");
  let cmd = [];
  const lines = decodeURIComponent(escape(String.fromCharCode(...request.content))).split("\n");
  for (const [index, label] of lines.entries()) {
    const at = { file: request.file, line: index + 1, col: 1 };
    const [word, ...rest] = label.split(/\s+/).filter((part) => part);
    if (word === undefined) continue;
    if (word === "from" && rest.length === 1) {
      output = source({ tag: "image", val: { name: { tag: "reference", val: rest[0] }, platform } }, label, at);
    } else if (word === "copy" && rest.length === 2) {
      const files = source({ tag: "folder", val: { context: "context", exclude: [] } }, "files");
      output = push({ tag: "file", val: { base: output, actions: [{ tag: "copy", val: copy(files, `/${rest[0]}`, rest[1]) }] } }, label, at);
    } else if (word === "cmd" && rest.length === 1) {
      cmd = rest;
    } else {
      const message = "want from IMAGE, copy SOURCE DEST or cmd PROGRAM";
      throw { tag: "invalid", val: [{ code: "unknown-line", message, help: undefined, at }] };
    }
  }
  const config = { os: platform.os, architecture: platform.arch, config: { Cmd: cmd } };
  return { platform, definition: { vertices, output }, config: JSON.stringify(config) };
}

function copy(from, source, dest) {
  const plain = { wildcard: false, allowEmpty: false, contents: false, unpack: false, parents: false, replace: false };
  return { from, source, dest, exclude: [], ...plain };
}
