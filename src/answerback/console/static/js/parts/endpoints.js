/** Webhook endpoints: made, tested, changed over to a new secret, deleted. */

import { get, post, remove } from "../api.js";
import { fill, h } from "../dom.js";
import { counted, serverOf } from "../format.js";
import { time } from "../time.js";
import { label } from "./badge.js";
import { code } from "./code.js";
import { ask, show } from "./dialog.js";
import { check, field, input, select } from "./fields.js";
import { card, empty, toast } from "./notice.js";
import { health, problemAt } from "./standing.js";
import { inline } from "./text.js";

const SIZE = 100;
const SHOWN_TYPES = 3;
/** Of what the service does not do yet: nothing would come. */
const isToCome = (type) => type.startsWith("batch.");

/** The card with the endpoints of the tenant, what reads them again, and what draws how their servers are. */
export async function endpoints(view) {
  const place = h("div");
  const standings = new Map();
  let servers = [];
  let shown = null;
  const drawStandings = () => {
    for (const [standing, url] of standings) {
      fill(standing, how(url, servers));
    }
  };
  const { data: types } = await get("/v1/webhook_event_types", null, view.signal);
  const read = async () => {
    const list = (await get("/v1/webhook_endpoints", { limit: SIZE }, view.signal)).data;
    const written = JSON.stringify(list);
    if (written === shown) return;
    shown = written;
    standings.clear();
    draw(place, list, standings, read);
    drawStandings();
  };
  await read();
  const make = h("button.button.tight", { type: "button", onclick: () => create(types, read) }, "Create an endpoint");
  const drawHealth = (items) => {
    servers = items;
    drawStandings();
  };
  return { element: card("Your webhook endpoints", place, make), read, drawHealth };
}

/** Its own failure, if its path is known to fail; else how its server is: where another path fails, that is named. */
function how(url, servers) {
  const server = servers.find((each) => serverOf(each.url) === serverOf(url));
  if (!server) return health({ healthy: null });
  const failing = server.failing.find((each) => each.url === url) ?? server.failing[0];
  const isOwn = failing?.url === url;
  const standing = failing ? health({ healthy: !isOwn, failing: server.failing }) : health(server);
  const why = failing ? (isOwn ? failing.error : problemAt(failing)) : server.last_error;
  return [standing, why ? h("span.small.problem.cut", { title: why }, why) : null, owed(server)];
}

/** What waits for its server, and when that is tried next. */
function owed({ waiting, held, next_attempt_at: next }) {
  if (!waiting && !held) return null;
  const when = next ? [", next attempt ", time(next, "next")] : null;
  return h("span.small.muted", {}, `${counted(waiting + held, "callback")} for its server ${waiting + held === 1 ? "waits" : "wait"}`, when);
}

function draw(place, list, standings, read) {
  if (!list.length) {
    return fill(
      place,
      empty(
        "No endpoints",
        "An endpoint hears of every event of its types, whichever key caused it: for a log, a dashboard, or OpenAI's webhooks.",
      ),
    );
  }
  return fill(
    place,
    h(
      "ul.items",
      {},
      list.map((one) => item(one, standings, read)),
    ),
  );
}

function item(one, standings, read) {
  const standing = h("div.row");
  standings.set(standing, one.url);
  const button = (name, act, tone = "") =>
    h("button.button.tight", { type: "button", class: tone, "aria-label": `${name}: ${one.name}`, onclick: act }, name);
  const more = one.event_types.length - SHOWN_TYPES;
  const shown = one.event_types.slice(0, SHOWN_TYPES).map((type) => label(type));
  return h(
    "li.item",
    {},
    h(
      "div.item-words",
      {},
      h("p.strong", {}, inline(one.name)),
      h("p.small.muted.two", { title: one.url }, h("bdi", {}, one.url)),
      standing,
      h(
        "div.row",
        {},
        shown,
        more > 0 ? h("span.muted.small", { title: one.event_types.join("\n") }, `and ${more} more`) : null,
      ),
    ),
    h(
      "div.row",
      {},
      button("Send test", () => test(one)),
      button("Rotate secret", () => rotate(one)),
      button("Delete", () => erase(one, read), "danger"),
    ),
  );
}

async function create(types, read) {
  const name = input({ name: "name", required: true, maxlength: 256 });
  const url = input({ name: "url", type: "url", required: true, placeholder: "https://example.com/events" });
  const boxes = types.filter((type) => !isToCome(type)).map((type) => check(type, { name: "event_types", value: type }).element);
  const choices = h("fieldset.fieldset", {}, h("legend", {}, "Events"), h("div.checks", {}, boxes));
  const act = (form) => {
    const chosen = form.getAll("event_types");
    if (!chosen.length) throw new Error("Choose at least one event.");
    return post("/v1/webhook_endpoints", { name: form.get("name"), url: form.get("url"), event_types: chosen });
  };
  const made = await ask({
    title: "Create an endpoint",
    body: [field("Name", name), field("URL", url), choices],
    action: "Create",
    act,
  });
  if (made === null) return;
  secretOf(made);
  await read();
}

function secretOf(endpoint) {
  show(
    `The secret of ${endpoint.name}`,
    h("p", {}, "It signs what the endpoint receives. Copy it now: it is not shown again."),
    code({ Secret: endpoint.signing_secret }),
  );
}

async function test(one) {
  const type = select(one.event_types, one.event_types[0], { name: "event_type" });
  const act = (form) => post(`/v1/webhook_endpoints/${one.id}/test`, { event_type: form.get("event_type") });
  const done = await ask({
    title: `Send a sample event to ${one.name}`,
    body: field("Event", type),
    action: "Send",
    act,
  });
  if (done) toast(`${one.name} answered ${done.status_code}.`);
}

async function rotate(one) {
  const keep = check("The old secret signs too, for 24 hours", { name: "keep" });
  keep.box.checked = true;
  const act = (form) =>
    post(`/v1/webhook_endpoints/${one.id}/rotate_secret`, {
      keep_old_secret_active_for_24_hours: form.get("keep") !== null,
    });
  const made = await ask({ title: `Rotate the secret of ${one.name}?`, body: keep.element, action: "Rotate", act });
  if (made) secretOf(made);
}

async function erase(one, read) {
  const words = "Its secret goes too, and what it is still owed is not delivered any more.";
  const act = () => remove(`/v1/webhook_endpoints/${one.id}`);
  if (await ask({ title: `Delete ${one.name}?`, body: h("p", {}, words), action: "Delete", danger: true, act })) {
    toast("The endpoint was deleted.");
    await read();
  }
}
