/** The frame: navigation, who is signed in, whether the feed is live. */

import { written } from "./api.js";
import { fill, h } from "./dom.js";
import { icon, mark } from "./icons.js";
import { attempt } from "./parts/notice.js";
import { ALL } from "./parts/tenants.js";
import { Session } from "./session.js";

/** In the order of the navigation; `only` says whom a page is for; one of `tenants` has a choice of them. */
const NAVIGATION = [
  { page: "home", href: "/console", name: "Home", icon: "home", tenants: true },
  { page: "playground", href: "/console/playground", name: "Playground", icon: "play" },
  { page: "jobs", href: "/console/jobs", name: "Jobs", icon: "jobs", under: ["job"], tenants: true },
  {
    page: "conversations",
    href: "/console/conversations",
    name: "Conversations",
    icon: "talk",
    under: ["conversation"],
    tenants: true,
  },
  { page: "receivers", href: "/console/receivers", name: "Receivers", icon: "receivers", tenants: true },
  { page: "models", href: "/console/models", name: "Models", icon: "models" },
  {
    page: "responses",
    href: "/console/responses",
    name: "Responses",
    icon: "responses",
    under: ["response"],
    tenants: true,
  },
  { page: "keys", href: "/console/keys", name: "Keys", icon: "keys", only: (session) => session.operator },
];

const FEED = { live: "Live", lost: "Connecting…", off: "Paused" };

export class Shell {
  /** `leave` is called once the reader has signed out. */
  constructor(app, { session, feed, leave }) {
    this.main = h("main.main", { id: "main", tabindex: "-1" });
    this.links = NAVIGATION.filter((each) => each.only?.(session) ?? true).map(linkOf);
    this.side = h(
      "header.side",
      {},
      h("div.side-head", {}, h("a.brand", { href: "/console" }, mark(), "Answerback"), this.#menuButton()),
      h(
        "nav.nav",
        { id: "nav", "aria-label": "Pages" },
        h(
          "ul",
          {},
          this.links.map((link) => h("li", {}, link)),
        ),
      ),
      footer(session, feed, leave),
    );
    fill(app, h("div.shell", {}, this.side, this.main));
  }

  /**
   * Marks the page in the navigation, and closes the menu of a phone. The links keep the `tenant` of the address, also
   * over pages that have no choice of it.
   */
  show(page, tenant) {
    this.#toggle(false);
    const current = this.links.find(({ dataset }) => dataset.pages.split(" ").includes(page));
    const chosen = written({ tenant: tenant === ALL ? null : tenant });
    for (const link of this.links) {
      if (link === current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      if (current && "tenants" in current.dataset && "tenants" in link.dataset) link.setAttribute("href", link.pathname + chosen);
    }
  }

  /** Where a page belongs, `{href, name}`. */
  sectionOf(page) {
    const link = this.links.find(({ dataset }) => dataset.pages.split(" ").includes(page)) ?? this.links[0];
    return { href: link.getAttribute("href"), name: link.textContent };
  }

  /** Closes the menu of a phone, if it is open. */
  escape() {
    if (!this.side.hasAttribute("data-open")) return;
    this.#toggle(false);
    this.button.focus();
  }

  #menuButton() {
    const toggle = () => this.#toggle(this.button.getAttribute("aria-expanded") !== "true");
    const named = { "aria-expanded": "false", "aria-controls": "nav", type: "button" };
    this.button = h("button.button.plain.menu-button", { ...named, onclick: toggle }, icon("menu"), "Menu");
    return this.button;
  }

  #toggle(open) {
    this.button.setAttribute("aria-expanded", String(open));
    this.side.toggleAttribute("data-open", open);
  }
}

function linkOf(each) {
  const pages = [each.page, ...(each.under ?? [])].join(" ");
  const tenants = each.tenants ? { "data-tenants": "" } : {};
  return h("a", { href: each.href, "data-pages": pages, ...tenants }, icon(each.icon), each.name);
}

function footer(session, feed, leave) {
  const live = h("span.live", { "data-state": feed.state }, FEED[feed.state]);
  feed.addEventListener("state", ({ detail }) => {
    live.dataset.state = detail;
    live.textContent = FEED[detail];
  });
  const role = session.operator ? "operator" : "tenant";
  return h(
    "div.side-foot",
    {},
    h(
      "div.who",
      {},
      h("strong.cut", { title: session.tenant }, session.name),
      h("span", {}, `${role} · ${session.version}`),
    ),
    h("div.row", {}, live, session.keyless ? null : signOut(leave)),
  );
}

function signOut(leave) {
  const act = ({ currentTarget }) =>
    attempt(currentTarget, async () => {
      await Session.signOut();
      leave();
    });
  return h("button.button.plain.tight", { type: "button", onclick: act }, "Sign out");
}
