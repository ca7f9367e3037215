/** The providers in the order they are asked, and benchmarks of their models. */

import { get } from "../api.js";
import { fill, h, sync } from "../dom.js";
import { counted, milliseconds, number } from "../format.js";
import { badge, label } from "../parts/badge.js";
import { benchmark } from "../parts/benchmark.js";
import { modelList } from "../parts/model_list.js";
import { card, head } from "../parts/notice.js";
import { rest, rests, standing } from "../parts/standing.js";
import { inline } from "../parts/text.js";

export const title = "Models";

const COLUMNS = ["", "Provider", "Health", "Calls", "Failed", "Median latency"];
const NUMBERS = ["Calls", "Failed", "Median latency"];
const SHOWN = 3;

export async function page(view) {
  const { operator } = view.session;
  const providers = table("Providers", COLUMNS.filter((name) => operator || name !== "Calls"));
  const routes = table("Routes", ["Model", "Asked in this order"]);
  const routesCard = card("Routes", routes.element);
  const of = operator ? "those" : "those of all tenants together,";
  const lead =
    `A call goes to the first provider that is not resting; where it fails, the next one is asked. The figures are ${of} of the last 15 minutes.`;
  const cards = h("div.stack", {}, card("Providers", providers.element), routesCard, benchmark(view));
  fill(view.root, head("Models", lead), cards, modelList(view));
  const read = async () => {
    const { items, routes: named } = await get("/v1/providers", null, view.signal);
    sync(
      providers.body,
      items.map((one, i) => ({ key: `${i}-${one.name}`, value: one, make: () => row(one, i, operator) })),
    );
    routesCard.hidden = !named.length;
    const shown = named.map((route) => [route, route.steps.map((step) => standingOf(step, items))]);
    sync(
      routes.body,
      shown.map((each) => ({ key: each[0].name, value: each, make: () => routed(...each) })),
    );
  };
  await read();
  view.live(read);
}

function table(name, columns) {
  const body = h("tbody");
  const heads = columns.map((column) =>
    h("th", { scope: "col", class: NUMBERS.includes(column) ? "number" : "" }, column || h("span.unseen", {}, "Order")),
  );
  const whole = h("table.cards.even", { "aria-label": name }, h("thead", {}, h("tr", {}, heads)), body);
  return { body, element: h("div.scroll", {}, whole) };
}

function row(one, i, operator) {
  return h(
    "tr",
    {},
    h("td.place.muted", {}, String(i + 1)),
    h(
      "td.wide",
      {},
      h("div", {}, inline(one.name)),
      models(one.models),
      one.last_error ? h("p.small.muted.wrap", {}, `Last error: ${one.last_error}`) : null,
    ),
    h("td.wide", {}, h("div.lines", {}, standing(one), rests(one))),
    operator ? h("td.number", { "data-name": "Calls" }, number(one.calls)) : null,
    h("td.number", { "data-name": "Failed" }, failed(one)),
    h(
      "td.number",
      { "data-name": "Median latency" },
      one.latency_ms_p50 === null ? h("span.none.muted", {}, "–") : milliseconds(Math.round(one.latency_ms_p50)),
    ),
  );
}

/** The share, and to operators how many those are. */
function failed({ failure_rate: rate, failures }) {
  if (rate === null) return h("span.none.muted", {}, "–");
  const share = `${Math.round(100 * rate)} %`;
  if (failures === null) return rate ? h("span.problem", {}, share) : share;
  return failures ? h("span.problem", {}, `${number(failures)} (${share})`) : "0";
}

/** How a step of a route is: what its provider's rests say of its model, and whether that can be reached. */
function standingOf({ provider, model }, items) {
  const { reachable, rests } = items.find(({ name }) => name === provider) ?? { reachable: null, rests: [] };
  return { reachable, rest: rests.findLast((each) => each.model === null || each.model === model) ?? null };
}

function routed({ name, default: isDefault, steps }, standings) {
  const step = ({ provider, model }, { reachable, rest: until }) =>
    h(
      "li",
      {},
      h(
        "span.row",
        {},
        inline(model),
        h("span.small.muted", {}, "at ", inline(provider)),
        reachable === false ? badge("Not reachable", "bad") : null,
        until && rest({ resting_until: until.until, reason: until.reason }),
      ),
    );
  return h(
    "tr",
    {},
    h("td.wide", {}, h("span.row.strong", {}, inline(name), isDefault ? label("default", "mark") : null)),
    h(
      "td.wide",
      {},
      h(
        "ol.steps",
        {},
        steps.map((each, i) => step(each, standings[i])),
      ),
    ),
  );
}

/** Those that it says it has; nothing where any may be asked of it. */
function models(names) {
  if (!names) return null;
  const more = names.length - SHOWN;
  const rest = more > 0 ? h("span.small.muted", { title: names.join("\n") }, counted(more, "other")) : null;
  return h(
    "div.row.names",
    {},
    names.slice(0, SHOWN).map((name) => label(inline(name))),
    rest,
  );
}
