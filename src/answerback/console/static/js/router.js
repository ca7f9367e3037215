/** Addresses and pages: each page is a module, loaded when it is first shown. */

import { written } from "./api.js";
import { keep } from "./place.js";

const PAGES = [
  ["/console", "home"],
  ["/console/playground", "playground"],
  ["/console/jobs", "jobs"],
  ["/console/jobs/:id", "job"],
  ["/console/conversations", "conversations"],
  ["/console/conversation", "conversation"],
  ["/console/receivers", "receivers"],
  ["/console/models", "models"],
  ["/console/responses", "responses"],
  ["/console/responses/:id", "response"],
  ["/console/keys", "keys"],
];

/** `{name, params}` of the page at this path, null if there is none. */
export function match(path) {
  const parts = path.replace(/\/+$/, "").split("/");
  for (const [pattern, name] of PAGES) {
    const params = matched(pattern.split("/"), parts);
    if (params) return { name, params };
  }
  return null;
}

function matched(pattern, parts) {
  if (pattern.length !== parts.length) return null;
  const params = {};
  for (const [i, each] of pattern.entries()) {
    if (each.startsWith(":")) params[each.slice(1)] = decoded(parts[i]);
    else if (each !== parts[i]) return null;
  }
  return params;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Follows links inside the console without loading it anew. `show` is called at each change of address. */
export function follow(show) {
  addEventListener("popstate", () => show({ back: true }));
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link) return passOn(event);
    const modified = event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey;
    if (link?.hash === "#main") return skip(event);
    if (modified || link.target || !link.getAttribute("href").startsWith("/console")) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
  addEventListener("go", () => show({ back: false }));
}

/** What stands above the link of a row is a part of it, but for buttons, and for a text that was selected. */
function passOn({ target, ctrlKey, metaKey, shiftKey }) {
  const row = target.closest?.("tr.link");
  if (!row || target.closest("button") || !getSelection().isCollapsed) return;
  const click = { bubbles: true, cancelable: true, ctrlKey, metaKey, shiftKey };
  row.querySelector("a.whole").dispatchEvent(new MouseEvent("click", click));
}

/** To what the page shows, past the navigation; the address stays as it is. */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

/** To an address of the console. */
export function go(href) {
  keep();
  history.pushState(null, "", href);
  dispatchEvent(new Event("go"));
}

/** The same, in the place of the page that is shown. */
export function goInstead(href) {
  history.replaceState(history.state, "", href);
  dispatchEvent(new Event("go"));
}

/** The path with the query changed: an empty value takes a parameter away. */
export function changed(query, changes) {
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  const text = next.toString();
  return location.pathname + (text ? `?${text}` : "");
}

/** A job's page; `tenant` is another's than the reader's own. */
export const jobPath = (id, tenant = null) => `/console/jobs/${id}${written({ tenant })}`;

/** A conversation's page. Its key stands in the query: paths are logged, and a key may be a callback URL. */
export const conversationPath = (session, tenant = null) => `/console/conversation${written({ session, tenant })}`;
