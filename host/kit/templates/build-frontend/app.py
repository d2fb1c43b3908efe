"""`nacre build --frontend {{name}} -f Imagefile .`: a file of `from IMAGE`, `copy SOURCE DEST` and `cmd PROGRAM`."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.frontend import Image
from wit_world.imports import graph
from wit_world.imports.types import Diagnostic, Error_Invalid, Span


class Frontend(exports.Frontend):
    def build(self, frontend, request):
        return [image(request, platform) for platform in request.platforms or [request.build_platform]]


def image(request, platform):
    vertices, cmd = [], []

    def push(operation, label, at=None):
        vertices.append(graph.Vertex(operation, label, at, False))
        return len(vertices) - 1

    def source(source, label, at=None):
        return push(graph.Operation_Source(source), label, at)

    output = source(graph.Source_Scratch(), "scratch")
    for number, line in enumerate(request.content.decode().splitlines(), 1):
        at = Span(request.file, number, 1)
        match line.split():
            case []:
                pass
            case ["from", name]:
                output = source(graph.Source_Image(graph.ImageSource(graph.ImageName_Reference(name), platform)), line, at)
            case ["copy", path, dest]:
                files = source(graph.Source_Folder(graph.FolderSource("context", [])), "files")
                output = push(graph.Operation_File(graph.File(output, [graph.Action_Copy(copy(files, path, dest))])), line, at)
            case ["cmd", program]:
                cmd = [program]
            case _:
                message = "want from IMAGE, copy SOURCE DEST or cmd PROGRAM"
                raise Err(Error_Invalid([Diagnostic("unknown-line", message, None, at)]))
    config = {"os": platform.os, "architecture": platform.arch, "config": {"Cmd": cmd}}
    return Image(platform, graph.Definition(vertices, output), json.dumps(config))


def copy(files, path, dest):
    return graph.CopyFiles(
        from_=files, source="/" + path, wildcard=False, allow_empty=False, dest=dest, contents=False, unpack=False,
        parents=False, replace=False, exclude=[], owner=None, permissions=None,
    )
