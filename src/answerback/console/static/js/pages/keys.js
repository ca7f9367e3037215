/** Keys, for operators: made, shown once, revoked. */

import { call, get, post, remove } from "../api.js";
import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { label } from "../parts/badge.js";
import { code } from "../parts/code.js";
import { ask, show } from "../parts/dialog.js";
import { check, field, input } from "../parts/fields.js";
import { card, empty, head, toast } from "../parts/notice.js";
import { id, inline } from "../parts/text.js";
import { time } from "../time.js";

export const title = "Keys";

const COLUMNS = ["Name", "Key", "Tenant", "Weight", "Limit", "Made", "Last used", ""];
const SIZE = 100;
const LIMIT = "For example 1000/hour.";
const WEIGHT = "The tenant's share of what is short, beside tenants of weight 1.";

export async function page(view) {
  const place = h("div");
  const before = view.query.get("before");
  const read = async () => {
    const keys = await get("/v1/keys", { limit: SIZE, before }, view.signal);
    if (keys.items.length || !before) return draw(view.session, place, keys, reread);
    const newest = h("a.button", { href: "/console/keys" }, "Newest keys");
    fill(place, empty("No older keys", "None was made before those.", newest));
  };
  const reread = () => view.again(read);
  const make = h("button.button.primary", { type: "button", onclick: () => create(view.session, reread) }, "Make a key");
  const lead =
    "Each key opens the jobs, conversations and receivers of one tenant. A key itself is shown once, when it is made.";
  fill(view.root, head("Keys", lead, make), h("section.card", { "aria-label": "Keys" }, place));
  await read();
}

function draw({ keyless, key: used }, place, { items, next }, read) {
  if (!items.length) {
    const first =
      "Without keys the service serves this machine only. The first key ends that: every request needs one from then on.";
    return fill(
      place,
      empty(
        "No keys yet",
        keyless
          ? first
          : "Only those of the settings are valid. Make one for each client, so that it can be revoked alone.",
      ),
    );
  }
  const heads = COLUMNS.map((name) => h("th", { scope: "col" }, name || h("span.unseen", {}, "Actions")));
  const table = h(
    "table.cards",
    { "aria-label": "Keys" },
    h("thead", {}, h("tr", {}, heads)),
    h(
      "tbody",
      {},
      items.map((key) => row(key, key.id === used?.id, read)),
    ),
  );
  const older = next
    ? h(
        "nav.pager",
        { "aria-label": "Pages of keys" },
        h("span"),
        h("a.button.tight", { href: `/console/keys?before=${next}` }, "Older keys"),
      )
    : null;
  return fill(place, h("div.scroll", {}, table), older);
}

function row(key, isUsed, read) {
  const revoked = key.revoked_at !== null;
  const act = h(
    "button.button.tight.danger",
    { type: "button", "aria-label": `Revoke ${key.name}`, onclick: () => revoke(key, isUsed, read) },
    "Revoke",
  );
  const edit = h(
    "button.button.tight",
    { type: "button", "aria-label": `Change ${key.name}`, onclick: () => change(key, read) },
    "Change",
  );
  return h(
    "tr",
    { class: revoked ? "gone" : "" },
    h(
      "td.name",
      {},
      h(
        "span.row.strong",
        {},
        inline(key.name),
        key.operator ? label("operator", "mark") : null,
        revoked ? label("revoked", "bad") : null,
      ),
    ),
    h("td.nowrap", { "data-name": "Key" }, id(key.id)),
    h("td.nowrap", { "data-name": "Tenant" }, id(key.tenant_id)),
    h("td.nowrap", { "data-name": "Weight" }, number(key.weight)),
    h("td.nowrap", { "data-name": "Limit" }, key.rate_limit ?? h("span.muted", {}, "default")),
    h("td.nowrap.muted", { "data-name": "Made" }, time(key.created_at)),
    h("td.nowrap.muted", { "data-name": "Last used" }, key.last_used_at ? time(key.last_used_at) : "never"),
    h("td.number.nowrap", {}, h("span.row.end", {}, jobsOf(key), revoked ? null : [edit, act])),
  );
}

const jobsOf = (key) =>
  h(
    "a.button.tight",
    {
      href: `/console/jobs?${new URLSearchParams({ key: key.id, tenant: key.tenant_id })}`,
      "aria-label": `Jobs of ${key.name}`,
    },
    "Jobs",
  );

async function create(session, read) {
  const name = input({ name: "name", required: true, maxlength: 64 });
  const tenant = input({ name: "tenant", placeholder: "A tenant of its own" });
  const rate = input({ name: "rate_limit", placeholder: "As the setting RATE_LIMIT says" });
  const weight = input({ name: "weight", type: "number", min: 1, step: 1, placeholder: "As it is; 1 for a new tenant" });
  const operator = check("Operator: may manage keys and see every tenant's jobs", { name: "operator" });
  const first =
    "This is the first key: from then on every request needs one. It is an operator's, which may manage keys, and this browser is signed in with it.";
  const fields = [
    field("Name", name, "What you will know it by."),
    field("Tenant", tenant, "Its id, or the name of one of its keys: the new key opens the same things."),
    field("Rate limit", rate, LIMIT),
    field("Weight", weight, WEIGHT),
    session.keyless ? h("p.notice.warn", {}, first) : operator.element,
  ];
  const made = await ask({
    title: "Make a key",
    body: fields,
    action: "Make the key",
    act: (form) => makeKey(session, asked(form)),
  });
  if (made === null) return;
  await shown(made);
  if (session.keyless) location.reload();
  else await read();
}

function makeKey(session, body) {
  if (!session.keyless) return post("/v1/keys", body);
  return session.first(() => post("/v1/keys", { ...body, operator: true }));
}

function asked(form) {
  const body = { name: form.get("name").trim(), operator: form.get("operator") !== null };
  for (const name of ["tenant", "rate_limit"]) if (form.get(name).trim()) body[name] = form.get(name).trim();
  if (form.get("weight")) body.weight = Number(form.get("weight"));
  return body;
}

function shown(made) {
  const secret = made.signing_secret
    ? [h("p", {}, "The secret that signs its tenant's callbacks:"), code({ Secret: made.signing_secret })]
    : [];
  return show(`The key ${made.name}`, h("p", {}, "Copy it now: it is not shown again."), code({ Key: made.key }), ...secret);
}

async function change(key, read) {
  const rate = input({ name: "rate_limit", value: key.rate_limit ?? "", placeholder: "As the setting RATE_LIMIT says" });
  const weight = input({ name: "weight", type: "number", min: 1, step: 1, required: true, value: key.weight });
  const fields = [field("Rate limit", rate, LIMIT), field("Weight", weight, `${WEIGHT} It is that of all its keys.`)];
  const act = (form) => {
    const changed = { rate_limit: form.get("rate_limit").trim() || "default", weight: Number(form.get("weight")) };
    return call("PATCH", `/v1/keys/${key.id}`, { body: changed });
  };
  if (!(await ask({ title: `Change ${key.name}`, body: fields, action: "Change the key", act }))) return;
  toast("The key was changed.");
  await read();
}

async function revoke(key, isUsed, read) {
  const words = "It is refused from now on. Its tenant's jobs and conversations stay, for other keys of that tenant.";
  const used = isUsed ? h("p.notice.warn", {}, "You are signed in with this key: you are signed out with it.") : null;
  const act = () => remove(`/v1/keys/${key.id}`);
  if (
    await ask({ title: `Revoke ${key.name}?`, body: [used, h("p", {}, words)], action: "Revoke the key", danger: true, act })
  ) {
    toast("The key was revoked.");
    await read();
  }
}
