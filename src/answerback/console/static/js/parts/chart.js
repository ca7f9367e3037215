/** Charts, drawn as SVG. */

import { fill, h, s } from "../dom.js";
import { counted, number } from "../format.js";
import { minute } from "../time.js";

const HEIGHT = 132;
const WIDTH = 600;

/** Bars of an hour: what completed and what failed in each minute. `draw` shows new minutes. */
export function minuteChart() {
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const caption = h("span.muted.small");
  const scale = h("div.chart-scale", { "aria-hidden": "true" });
  const from = h("span");
  const slider = h("input.minutes", { type: "range", min: 0, max: 0, step: 1, "aria-label": "Minute" });
  const figure = h(
    "figure.chart",
    {},
    h("div.chart-plot", {}, svg, scale),
    slider,
    h("div.chart-ends", {}, from, h("span", {}, "now")),
  );
  let minutes = [];
  /** The beginning of the minute that is read, which stays while others come; null: all of them are. */
  let read = null;

  function say() {
    const one = minutes.find((each) => each.minute === read);
    const said = one ? `${minute(one.minute)}: ${words(one)}` : `${total(minutes)} in the last hour`;
    fill(caption, said);
    slider.max = String(Math.max(0, minutes.length - 1));
    slider.value = String(one ? minutes.indexOf(one) : minutes.length - 1);
    slider.setAttribute("aria-valuetext", said);
  }
  function turnTo(at) {
    read = minutes[Math.max(0, Math.min(at, minutes.length - 1))]?.minute ?? null;
    say();
  }
  function point(event) {
    const box = svg.getBoundingClientRect();
    turnTo(Math.floor(((event.clientX - box.left) / box.width) * minutes.length));
  }
  const leave = () => ((read = null), say());

  function draw(given) {
    minutes = given;
    const peak = Math.max(1, ...minutes.map((each) => each.completed + each.failed));
    fill(
      svg,
      minutes.map((each, i) => bar(each, i, minutes.length, peak)),
    );
    svg.setAttribute("aria-label", `Answers a minute in the last hour: ${total(minutes)}.`);
    fill(scale, h("span", {}, number(peak)));
    fill(from, minutes.length ? minute(minutes[0].minute) : "");
    say();
  }
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerleave", leave);
  slider.addEventListener("input", () => turnTo(Number(slider.value)));
  slider.addEventListener("blur", leave);
  return { figure, caption, draw };
}

const words = ({ completed, failed }) => `${counted(completed, "answer")}, ${number(failed)} failed`;

function total(minutes) {
  const sum = (name) => minutes.reduce((so, each) => so + each[name], 0);
  return words({ completed: sum("completed"), failed: sum("failed") });
}

function bar({ completed, failed }, i, n, peak) {
  const step = WIDTH / n;
  const tall = (count) => (count / peak) * (HEIGHT - 6);
  const place = { x: i * step + step * 0.14, width: step * 0.72 };
  const top = HEIGHT - Math.max(tall(completed + failed), 1.5);
  const whole = s("rect.bar", { ...place, y: top, height: HEIGHT - top, class: completed + failed ? "" : "none" });
  const lost = failed ? s("rect.bar.failed", { ...place, y: top, height: tall(failed) }) : null;
  return [whole, lost];
}

/** Horizontal bars: `{name, value, words}` each, the longest as wide as the place. */
export function bars(rows) {
  const most = Math.max(...rows.map((row) => row.value), 1e-9);
  return h(
    "ul.bars",
    {},
    rows.map((row) => barRow(row, row.value / most)),
  );
}

function barRow({ name, words: said, tone = "", href = null }, share) {
  const drawn = s(
    "svg.bar-line",
    { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect.rest", { width: 100, height: 6 }),
    s("rect.bar", { class: tone, width: Math.max(share * 100, 1), height: 6 }),
  );
  const title = href ? h("a", { href }, name) : h("span", {}, name);
  return h("li", {}, h("div.bar-words", {}, title, h("span.muted", {}, said)), drawn);
}
