/** Whose objects an operator looks at: `?tenant=` of the address. */

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { tail } from "../format.js";
import { changed, go } from "../router.js";
import { select } from "./fields.js";
import { inline } from "./text.js";

/** So many keys are read for their tenants. */
const SIZE = 100;
const MOST_READ = 50;

/** Stands for all tenants together, where a list takes that. */
export const ALL = "*";

/** Whose objects a page shows that can show all together: those of all, where an operator has made no choice. */
export function tenantOrAll({ session, query, tenant }) {
  const isOperator = session.operator && !session.keyless;
  return isOperator && (query.get("tenant") ?? ALL) === ALL ? ALL : tenant;
}

const asked = new WeakMap();

/** The names of tenants by their ids, as their first keys are named; none for who is no operator. Read once a page. */
export function tenantNames(view) {
  if (!asked.has(view)) asked.set(view, read(view));
  return asked.get(view);
}

async function read(view) {
  if (!view.session.operator || view.session.keyless) return new Map();
  const own = view.session.tenant;
  const names = new Map();
  for (let before = null, requests = 0; requests < MOST_READ; requests += 1) {
    const { items, next } = await get("/v1/keys", { limit: SIZE, before }, view.signal);
    for (const key of items) names.set(key.tenant_id, key.name);
    if (!next) break;
    before = next;
  }
  names.delete(own);
  return new Map([[own, "Your own"], ...apart(names)]);
}

/** Where several have the same name, it stands with their ids. */
function apart(names) {
  const given = [...names.values()];
  const isShared = (name) => given.indexOf(name) !== given.lastIndexOf(name);
  return [...names].map(([id, name]) => [id, isShared(name) ? `${name} (${tail(id)})` : name]);
}

/** The names, to choose from, and all together. */
export const tenantChoice = (names, chosen, onchange) =>
  select([[ALL, "All tenants"], ...names], chosen, { name: "tenant", "aria-label": "Tenant", onchange });

/** A choice of the tenant whose objects a page shows, if there is one: it comes once the names are read. */
export function whose(view) {
  const place = h("label.row.small.muted", { hidden: true });
  const chosen = view.query.get("tenant") ?? ALL;
  const onchange = ({ target }) => go(changed(view.query, { tenant: target.value, before: "" }));
  view.again(async () => {
    const names = await tenantNames(view);
    place.hidden = names.size < 2;
    if (names.size > 1) fill(place, "Tenant", tenantChoice(names, chosen, onchange));
  });
  return place;
}

/** Whose something is that is not the reader's own, by the `names` of a list of all tenants, once those are read. */
export const ofTenant = (names, id, own) =>
  !names.size || id === own ? null : h("div.small.muted.cut", {}, "of ", inline(names.get(id) ?? id));

/** Said where nothing is shown, if there are tenants to choose from. */
export function othersToo(view) {
  const words = h("p", { hidden: true }, "Only one tenant is shown here: choose another above.");
  view.again(async () => (words.hidden = (await tenantNames(view)).size < 2));
  return words;
}
