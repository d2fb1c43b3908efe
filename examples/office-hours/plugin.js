// Images are pushed to the production registry from Monday to Friday in office hours, or labelled
// `acme.urgent=true`, which is let through with a warning.

import host from "nacre:plugin/host@0.1.0";

export const reviewer = {
  review(request) {
    const settings = JSON.parse(host.settings());
    const isProduction = request.operation === "push" && request.name?.startsWith(`${settings.registry}/`);
    if (!isProduction || isOpen(request.now, settings)) return { tag: "allow" };
    const urgent = request.labels.some((label) => label.key === "acme.urgent" && label.value === "true");
    const message = `${settings.registry} takes images from Monday to Friday, ${settings["first-hour"]} to ${settings["last-hour"]} UTC`;
    const help = urgent ? null : "wait, or build it with the label acme.urgent=true";
    return { tag: urgent ? "warn" : "deny", val: [{ code: "office-hours", message, help, at: null }] };
  },
};

function isOpen(now, settings) {
  const time = new Date(now * 1000);
  const [day, hour] = [time.getUTCDay(), time.getUTCHours()];
  return day >= 1 && day <= 5 && hour >= settings["first-hour"] && hour < settings["last-hour"];
}
