/** Line icons on a grid of 16. */

import { s } from "./dom.js";

const PATHS = {
  home: "M2.5 7 8 2.5 13.5 7v6.5h-4v-4h-3v4h-4z",
  play: "M2.5 3.5h11v7.5h-6L4.5 13.5V11h-2z",
  jobs: "M2.5 4h2M2.5 8h2M2.5 12h2M7 4h6.5M7 8h6.5M7 12h6.5",
  talk: "M2.5 2.5h8v6h-4l-2.5 2v-2H2.5zM13.5 6v6h-1.5v2l-2.5-2h-3",
  receivers: "M8 2.5v6.5M5 6.5 8 9.5l3-3M2.5 9.5v4h11v-4",
  models: "M8 2 13.5 5v6L8 14l-5.5-3V5zM2.5 5 8 8l5.5-3M8 8v6",
  responses: "M3.5 2.5h6l3 3v8h-9zM9.5 2.5v3h3M5.5 8.5h5M5.5 11h3",
  keys: "M9.5 6.5a3 3 0 1 0-3 3 3 3 0 0 0 3-3zM8.6 8.6l4.9 4.9M11.5 11.5l1.5-1.5",
  copy: "M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1",
  check: "M3 8.5 6.5 12 13 4.5",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  send: "M8 13V3M4 7l4-4 4 4",
  stop: "M4.5 4.5h7v7h-7z",
  plus: "M8 3v10M3 8h10",
};

export function icon(name) {
  const path = s("path", { d: PATHS[name], "stroke-linecap": "round", "stroke-linejoin": "round" });
  const shape = { viewBox: "0 0 16 16", fill: "none", stroke: "currentColor", "stroke-width": "1.4" };
  return s("svg", { ...shape, "aria-hidden": "true" }, path);
}

/** The mark of the service: an arrow that comes back. */
export function mark() {
  const arrow = { fill: "none", "stroke-width": "2.6", "stroke-linecap": "round", "stroke-linejoin": "round" };
  return s(
    "svg",
    { viewBox: "0 0 32 32", "aria-hidden": "true" },
    s("rect", { width: 32, height: 32, rx: 8, fill: "#4353c9" }),
    s("path", { d: "M9 14h10a5 5 0 0 1 0 10h-3M13 9l-5 5 5 5", stroke: "#fff", ...arrow }),
  );
}
