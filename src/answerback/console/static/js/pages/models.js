/** The providers in the order they are asked, and benchmarks of their models. */

import { get } from "../api.js";
import { fill, h, sync } from "../dom.js";
import { counted, milliseconds, number } from "../format.js";
import { label } from "../parts/badge.js";
import { benchmark } from "../parts/benchmark.js";
import { modelList } from "../parts/model_list.js";
import { card, head } from "../parts/notice.js";
import { rests, standing } from "../parts/standing.js";
import { inline } from "../parts/text.js";

export const title = "Models";

const COLUMNS = ["", "Provider", "Health", "Calls", "Failed", "Median latency", "Models"];
const NUMBERS = ["Calls", "Failed", "Median latency"];
const SHOWN = 3;
const REREAD_MS = 5000;

export async function page(view) {
  const body = h("tbody");
  const heads = COLUMNS.map((name) =>
    h("th", { scope: "col", class: NUMBERS.includes(name) ? "number" : "" }, name || h("span.unseen", {}, "Order")),
  );
  const table = h(
    "div.scroll",
    {},
    h("table.cards", { "aria-label": "Providers" }, h("thead", {}, h("tr", {}, heads)), body),
  );
  const lead =
    "A call goes to the first provider that is not resting; where it fails, the next one is asked. The figures are those of the last 15 minutes.";
  const cards = h("div.stack", {}, card("Providers", table), benchmark(view));
  fill(view.root, head("Models", lead), cards, modelList(view));
  const read = async () => {
    const { items } = await get("/v1/providers", null, view.signal);
    sync(
      body,
      items.map((one, i) => ({ key: `${i}-${one.name}`, value: one, make: () => row(one, i) })),
    );
  };
  await read();
  view.every(REREAD_MS, read);
}

function row(one, i) {
  const failed = one.failures
    ? h("span.problem", {}, `${number(one.failures)} (${Math.round((100 * one.failures) / one.calls)} %)`)
    : "0";
  return h(
    "tr",
    {},
    h("td.place.muted", {}, String(i + 1)),
    h(
      "td.wide",
      {},
      h("div", {}, inline(one.name)),
      one.last_error ? h("p.small.muted.cut", { title: one.last_error }, `Last error: ${one.last_error}`) : null,
    ),
    h("td.nowrap", {}, health(one)),
    h("td.number", { "data-name": "Calls" }, number(one.calls)),
    h("td.number", { "data-name": "Failed" }, failed),
    h(
      "td.number",
      { "data-name": "Median latency" },
      one.latency_ms_p50 === null ? h("span.none.muted", {}, "–") : milliseconds(Math.round(one.latency_ms_p50)),
    ),
    h("td.nowrap", { "data-name": "Models" }, models(one.models)),
  );
}

function health(one) {
  return h("div.lines", {}, standing(one), rests(one));
}

function models(names) {
  if (!names) return h("span.muted", {}, "Any");
  const more = names.length - SHOWN;
  const rest = more > 0 ? h("span.small.muted", { title: names.join("\n") }, counted(more, "other")) : null;
  return h(
    "span.row",
    {},
    names.slice(0, SHOWN).map((name) => label(name)),
    rest,
  );
}
