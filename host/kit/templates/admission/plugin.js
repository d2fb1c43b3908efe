// Nothing is pushed as `latest`: whoever deploys it would not know what it is.

export const reviewer = {
  review(request) {
    if (request.operation !== "push" || !request.name?.endsWith(":latest")) return { tag: "allow" };
    const message = `${request.name} has the tag latest`;
    const help = "push it with a version as its tag";
    return { tag: "deny", val: [{ code: "latest", message, help, at: null }] };
  },
};
