"""`nacre import hello.sh` makes an image of a shell script: all it holds, and what it runs."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.importer import Confidence
from wit_world.imports.files import Content_Source, Entry, Kind
from wit_world.imports.types import Error_Other


class Importer(exports.Importer):
    def probe(self, format, head):
        return Confidence.MAYBE if head.raw.startswith(b"#!/bin/sh") else Confidence.NO

    def convert(self, format, sources, image, opts):
        if len(sources) != 1:
            raise Err(Error_Other("one script makes one image"))
        entry = Entry(
            path="run", kind=Kind.FILE, mode=0o755, uid=0, gid=0, size=sources[0].size(),
            mtime=0, nanos=0, link=None, device=None, xattrs=[],
        )
        image.layer("{{name}}").add(entry, Content_Source(sources[0]))
        image.set_config('{"Entrypoint": ["/run"]}')
