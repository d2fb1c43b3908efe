"""Nothing is pushed as `latest`: whoever deploys it would not know what it is."""

from wit_world import exports
from wit_world.exports.reviewer import Decision_Allow, Decision_Deny, Operation
from wit_world.imports.types import Diagnostic


class Reviewer(exports.Reviewer):
    def review(self, request):
        name = request.name or ""
        if request.operation != Operation.PUSH or not name.endswith(":latest"):
            return Decision_Allow()
        help = "push it with a version as its tag"
        return Decision_Deny([Diagnostic("latest", f"{name} has the tag latest", help, None)])
