/** The conversations, the last used first. */

import { get } from "../api.js";
import { fill, h, refill, sync } from "../dom.js";
import { number } from "../format.js";
import { label } from "../parts/badge.js";
import { input } from "../parts/fields.js";
import { empty, head } from "../parts/notice.js";
import { inline } from "../parts/text.js";
import { ALL, ofTenant, othersToo, tenantNames, tenantOrAll, whose } from "../parts/tenants.js";
import { changed, conversationPath, go } from "../router.js";
import { time } from "../time.js";

export const title = "Conversations";

const COLUMNS = ["Conversation", "Messages", "Waiting", "Last used"];
const SIZE = 50;

export async function page(view) {
  const tenant = tenantOrAll(view);
  const isAll = tenant === ALL;
  const place = h("div");
  const others = isAll ? null : othersToo(view);
  const body = h("tbody");
  const heads = COLUMNS.map((name, i) => h("th", { scope: "col", class: i === 1 || i === 2 ? "number" : "" }, name));
  const table = h(
    "div.scroll",
    {},
    h("table.cards", { "aria-label": "Conversations" }, h("thead", {}, h("tr", {}, heads)), body),
  );
  const lead = "What the service remembers, and which messages wait for their turn.";
  fill(
    view.root,
    head("Conversations", lead, whose(view), opener(view.tenant === ALL ? null : view.tenant)),
    h("section.card", { "aria-label": "Conversations" }, place),
  );
  const before = view.query.get("before");
  const own = view.session.tenant;
  let names = new Map();
  let page;
  const draw = () => {
    const { items, next } = page;
    sync(
      body,
      items.map((one) => ({
        key: `${one.tenant_id ?? ""} ${one.key}`,
        value: [one, names.size],
        make: () => row(one, isAll ? one.tenant_id : tenant, own, names),
      })),
    );
    refill(place, items.length ? table : nothing(others, next), pager(view.query, next));
  };
  const read = async () => {
    page = await get("/v1/sessions", { limit: SIZE, before, tenant }, view.signal);
    draw();
  };
  await read();
  if (!before) view.live(read);
  if (isAll) view.again(async () => ((names = await tenantNames(view)), draw()));
}

function row(one, tenant, own, names) {
  const href = conversationPath(one.key, tenant === own ? null : tenant);
  return h(
    "tr.link",
    {},
    h("td", {}, h("a.whole.cut", { href }, inline(one.key)), ofTenant(names, tenant, own)),
    h("td.number", { "data-name": "Messages" }, one.messages ? number(one.messages) : h("span.muted", {}, "Erased")),
    h(
      "td.number",
      { "data-name": "Waiting" },
      one.waiting ? label(number(one.waiting), "warn") : h("span.none.muted", {}, "–"),
    ),
    h("td.when.nowrap.muted", {}, time(one.updated_at)),
  );
}

/** Opens a conversation by its name. */
function opener(tenant) {
  const name = input({
    type: "search",
    placeholder: "Open by session_id",
    "aria-label": "Open a conversation by its session_id",
  });
  const open = (event) => {
    event.preventDefault();
    if (name.value.trim()) go(conversationPath(name.value, tenant));
  };
  return h("form", { onsubmit: open }, name);
}

/** Of all tenants' conversations some pages have none: `next` is where to look on. */
function nothing(others, next) {
  if (next) return empty("No conversation among those used last", "Older ones may have some.");
  const start = h("a.button.primary", { href: "/console/playground?by=webhook" }, "Send a test message");
  return empty(
    "No conversations yet",
    "Messages with the same session_id are one conversation: answered in order, and remembered.",
    others,
    start,
  );
}

function pager(query, next) {
  const newest = query.get("before")
    ? h("a.button.tight", { href: changed(query, { before: "" }) }, "Newest conversations")
    : h("span");
  const older = next ? h("a.button.tight", { href: changed(query, { before: next }) }, "Older conversations") : null;
  return older || query.get("before")
    ? h("nav.pager", { "aria-label": "Pages of conversations" }, newest, older)
    : null;
}
