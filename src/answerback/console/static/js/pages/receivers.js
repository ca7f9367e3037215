/** Where callbacks go: how each receiver is, sending again what failed, and webhook endpoints. */

import { get, post } from "../api.js";
import { fill, h, sync } from "../dom.js";
import { number, serverOf } from "../format.js";
import { endpoints } from "../parts/endpoints.js";
import { attempt, card, empty, head, toast } from "../parts/notice.js";
import { resend } from "../parts/resend.js";
import { secret } from "../parts/secret.js";
import { health, problemAt } from "../parts/standing.js";
import { othersToo, whose } from "../parts/tenants.js";
import { inline } from "../parts/text.js";
import { time } from "../time.js";

export const title = "Receivers";

const COLUMNS = ["Receiver", "Health", "Waiting", "Dead", "Last attempt", "Next attempt", ""];
/** How many failing paths of a receiver are named. */
const SHOWN_PATHS = 3;
/** So many of those that are held, and of those that are dead, the service looks at: the newest. */
const NEWEST = 1000;

export async function page(view) {
  const tenant = view.tenant;
  const parts = { body: h("tbody"), place: h("div"), progress: h("div"), more: h("div.stack") };
  const heads = COLUMNS.map((name) =>
    h(
      "th",
      { scope: "col", class: ["Waiting", "Dead"].includes(name) ? "number" : "" },
      name || h("span.unseen", {}, "Actions"),
    ),
  );
  parts.table = h(
    "div.scroll",
    {},
    h("table.cards", { "aria-label": "Receivers" }, h("thead", {}, h("tr", {}, heads)), parts.body),
  );
  /** What is shown; `read` shows it anew. */
  const receivers = { items: [], read: null };
  const again = (server) => resend(view, server, parts.progress, { tenant, receivers });
  const lead =
    "Each server that your callbacks go to. One that is down holds up no other; what it is owed is sent again for days.";
  const act = h("button.button.primary", { type: "button", onclick: () => again("") }, "Resend all that failed");
  fill(
    view.root,
    head("Receivers", lead, whose(view), act),
    h("div.stack", {}, parts.progress, h("section.card", { "aria-label": "Receivers" }, parts.place), parts.more),
  );
  const others = othersToo(view);
  let own = null;
  receivers.read = async () => {
    const { items } = await get("/v1/receivers", { tenant }, view.signal);
    receivers.items = items;
    draw(parts, items, { again, tenant, others });
    act.disabled = !items.some(isOwed);
    own?.drawHealth(items);
  };
  await receivers.read();
  view.live(receivers.read);
  if (tenant && tenant !== view.session.tenant) return;
  own = await endpoints(view);
  view.live(own.read, { isSlow: true });
  own.drawHealth(receivers.items);
  fill(parts.more, own.element, secret());
}

const isOwed = (one) => one.waiting + one.held + one.dead > 0;

function draw(parts, items, how) {
  const isCut = (name) => items.reduce((so, one) => so + one[name], 0) >= NEWEST;
  const cut = { held: isCut("held"), dead: isCut("dead") };
  sync(
    parts.body,
    items.map((one) => ({ key: one.origin, value: [one, cut], make: () => row(one, cut, how) })),
  );
  fill(parts.place, items.length ? parts.table : nothing(how.others));
}

function nothing(others) {
  const start = h("a.button", { href: "/console/playground?by=webhook" }, "Send a test message");
  return empty("No callbacks yet", "A receiver appears here with the first callback that goes to it.", others, start);
}

function row(one, cut, { again, tenant }) {
  const server = serverOf(one.url);
  const button = (name, act) =>
    h("button.button.tight", { type: "button", "aria-label": `${name}: ${server}`, onclick: act }, name);
  const waiting = one.waiting + one.held;
  return h(
    "tr",
    {},
    h(
      "td.wide",
      {},
      h("div.cut", {}, inline(server)),
      problems(one),
    ),
    h("td", {}, health(one)),
    h("td.number", { "data-name": "Waiting" }, waiting || !one.sending ? count(waiting, one.held && cut.held) : null, underWay(one)),
    h("td.number", { "data-name": "Dead" }, one.dead ? h("span.problem", {}, count(one.dead, cut.dead)) : count(0)),
    h("td.nowrap.muted", { "data-name": "Last attempt" }, one.last_attempt_at ? time(one.last_attempt_at) : "–"),
    h(
      "td.nowrap.muted",
      { "data-name": "Next attempt" },
      one.next_attempt_at ? time(one.next_attempt_at, "next") : h("span.none", {}, "–"),
    ),
    h(
      "td.number.nowrap",
      {},
      h(
        "span.row.end",
        {},
        button("Send test", ({ currentTarget }) => test(one, currentTarget, tenant)),
        isOwed(one) ? button("Resend", () => again(server)) : null,
      ),
    ),
  );
}

/** `isCut`: there may be more, of which only the newest were looked at. */
const count = (n, isCut = false) => (n ? `${number(n)}${isCut ? "+" : ""}` : h("span.none.muted", {}, "–"));

/** Those that the receiver has not answered yet. */
const underWay = ({ sending }) => (sending ? h("div.small.muted.nowrap", {}, `${number(sending)} being sent`) : null);

/** Why the last attempt failed, or why those at some of its paths did. */
function problems({ healthy, last_error: why, failing }) {
  const line = (words) => h("p.small.problem.cut", { title: words }, words);
  if (failing.length) return failing.slice(0, SHOWN_PATHS).map((each) => line(problemAt(each)));
  return healthy === false && why ? line(why) : null;
}

/** Sends a sample to where one of its newest callbacks goes. */
async function test({ url }, button, tenant) {
  await attempt(button, async () => {
    const { status_code: status } = await post("/v1/receivers/test", { url }, { query: { tenant } });
    toast(`${serverOf(url)} answered ${status}.`);
  });
}
