// `nacre image prune --policy {{name}},days=7` deletes images that were not used for a week.

const DAY = 24 * 60 * 60;

export const prune = {
  decide(policy, now, opts, candidates) {
    const days = number(opts.find((opt) => opt.key === "days")?.value ?? "30");
    return candidates.flatMap((image, index) => {
      const idle = Math.floor((now - (image.lastUsed ?? image.pulled ?? image.created)) / DAY);
      if (idle <= days || image.pinned || image.inUse) return [];
      return [{ index, action: "delete", reason: `unused for ${idle} days` }];
    });
  },
};

function number(text) {
  if (/^\d+$/.test(text)) return Number(text);
  const message = `invalid option 'days=${text}': want a number of days`;
  throw { tag: "invalid", val: [{ code: "bad-value", message, help: null, at: null }] };
}
