// `nacre search --filter {{name}}=10 TERM` shows the results that at least ten people starred.

export const search = {
  filter(term, opts, hits) {
    const least = Math.max(0, ...opts.map((opt) => stars(opt.value)));
    return hits.flatMap((hit, index) => (hit.stars >= least ? [{ index, score: null, note: null }] : []));
  },
};

function stars(text) {
  if (/^\d+$/.test(text)) return Number(text);
  const message = `invalid option '{{name}}=${text}': want a number of stars`;
  throw { tag: "invalid", val: [{ code: "bad-value", message, help: null, at: null }] };
}
