/** Numbers and names as pages show them. */

const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const number = (value) => (value === null || value === undefined ? "–" : WHOLE.format(value));

/** 1,234 as it is, 12,345,678 as 12.3M. */
export const short = (value) => (value < 10_000 ? WHOLE.format(value) : SHORT.format(value));

/** "1 job", "2 jobs". */
export const counted = (n, one, many = `${one}s`) => `${WHOLE.format(n)} ${n === 1 ? one : many}`;

/** The end of an id, by which it differs from others. */
export const tail = (id) => (id.length > 14 ? `…${id.slice(-8)}` : id);

/** `upstream_rate_limited` as "Upstream rate limited". */
export function sentence(code) {
  const words = String(code).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export const milliseconds = (value) =>
  value >= 1000 ? `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s` : `${value} ms`;

/** The server of a URL, as URLs begin: without a port that goes without saying. */
export const serverOf = (url) => `${new URL(url).origin}/`;
