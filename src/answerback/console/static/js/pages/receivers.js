/** Where callbacks go: how each receiver is, sending again what failed, and webhook endpoints. */

import { get, post } from "../api.js";
import { fill, h, sync } from "../dom.js";
import { number, serverOf } from "../format.js";
import { endpoints } from "../parts/endpoints.js";
import { attempt, card, empty, head, toast } from "../parts/notice.js";
import { resend } from "../parts/resend.js";
import { secret } from "../parts/secret.js";
import { health, NEWEST, problemAt } from "../parts/standing.js";
import { ALL, ofTenant, othersToo, tenantNames, tenantOrAll, whose } from "../parts/tenants.js";
import { inline } from "../parts/text.js";
import { changed, goInstead } from "../router.js";
import { time } from "../time.js";

export const title = "Receivers";

const COLUMNS = ["Receiver", "Health", "Waiting", "Dead", "Last attempt", "Next attempt", ""];
/** How many failing paths of a receiver are named. */
const SHOWN_PATHS = 3;

export async function page(view) {
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
  const receivers = new Receivers(view, tenantOrAll(view));
  const isAll = receivers.tenant === ALL;
  const how = { names: new Map(), own: view.session.tenant, others: isAll ? null : othersToo(view) };
  const nameOf = (tenant) => how.names.get(tenant ?? how.own) ?? tenant ?? how.own;
  const ownerOf = (tenant) => ({ tenant, name: nameOf(tenant), receivers: receivers.of(tenant) });
  how.again = (server, tenants) => resend(view, server, parts.progress, tenants.map(ownerOf));
  parts.all = h(
    "button.button.primary",
    { type: "button", disabled: true, onclick: () => how.again("", receivers.owed()) },
    "Resend all that failed",
  );
  const lead =
    "Each server that your callbacks go to. One that is down holds up no other; what it is owed is sent again for days.";
  fill(
    view.root,
    head("Receivers", lead, whose(view), parts.all),
    h("div.stack", {}, parts.progress, h("section.card", { "aria-label": "Receivers" }, parts.place), parts.more),
  );
  let own = null;
  receivers.drawn = () => {
    draw(parts, receivers, how);
    own?.drawHealth(receivers.items.filter(({ tenant }) => tenant === null));
  };
  try {
    await receivers.read();
  } catch (error) {
    if (!isAll || error.status !== 422) throw error;
    toast("There are too many tenants to show them together: choose one.");
    return goInstead(changed(view.query, { tenant: view.session.tenant }));
  }
  view.live(receivers.read);
  if (isAll) view.again(async () => ((how.names = await tenantNames(view)), receivers.drawn()));
  else if (receivers.tenant) return;
  own = await endpoints(view);
  view.live(own.read, { concerns: () => false });
  fill(parts.more, own.element, secret());
  receivers.drawn();
}

/** What is shown: receivers of one tenant, null for the reader's own, or of all together; each says whose it is. */
class Receivers {
  items = [];
  drawn = () => null;

  constructor(view, tenant) {
    Object.assign(this, { view, tenant });
  }

  /** Shows them anew. */
  read = async () => {
    this.items = await this.#get(this.tenant);
    this.drawn();
  };

  /** Of one tenant, read apart where more are shown. */
  of(tenant) {
    if (tenant === this.tenant) return this;
    const theirs = { items: this.items.filter((one) => one.tenant === tenant) };
    theirs.read = async () => (theirs.items = await this.#get(tenant));
    return theirs;
  }

  /** The tenants that are owed something. */
  owed() {
    return [...new Set(this.items.filter(isOwed).map(({ tenant }) => tenant))];
  }

  async #get(tenant) {
    const { items } = await get("/v1/receivers", { tenant }, this.view.signal);
    const own = this.view.session.tenant;
    const whose = ({ tenant_id: id }) => (tenant === ALL ? (id === own ? null : id) : tenant);
    return items.map((one) => ({ ...one, tenant: whose(one) }));
  }
}

const isOwed = (one) => one.waiting + one.held + one.dead > 0;

function draw(parts, receivers, how) {
  const { items } = receivers;
  const isCut = (of, name) => items.reduce((so, one) => so + (one.tenant === of ? one[name] : 0), 0) >= NEWEST;
  const shown = items.map((one) => {
    const cut = { held: isCut(one.tenant, "held"), dead: isCut(one.tenant, "dead") };
    const make = () => row(one, cut, how);
    return { key: `${one.tenant ?? ""} ${one.origin}`, value: [one, cut, how.names.size], make };
  });
  sync(parts.body, shown);
  fill(parts.place, items.length ? parts.table : nothing(how.others));
  parts.all.disabled = !receivers.owed().length;
}

function nothing(others) {
  const start = h("a.button", { href: "/console/playground?by=webhook" }, "Send a test message");
  return empty("No callbacks yet", "A receiver appears here with the first callback that goes to it.", others, start);
}

function row(one, cut, { again, names, own }) {
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
      ofTenant(names, one.tenant ?? own, own),
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
        button("Send test", ({ currentTarget }) => test(one, currentTarget)),
        isOwed(one) ? button("Resend", () => again(server, [one.tenant])) : null,
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
async function test({ url, tenant }, button) {
  await attempt(button, async () => {
    const { status_code: status } = await post("/v1/receivers/test", { url }, { query: { tenant } });
    toast(`${serverOf(url)} answered ${status}.`);
  });
}
