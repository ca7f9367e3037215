/** Starts the console: the session, the frame, and the page of the address. */

import { ApiError, unreachable } from "./api.js";
import { fill, h } from "./dom.js";
import { Feed } from "./feed.js";
import { tail } from "./format.js";
import { closeAll } from "./parts/dialog.js";
import { failed, passes } from "./parts/failed.js";
import { restoring } from "./place.js";
import { follow, match } from "./router.js";
import { Session } from "./session.js";
import { Shell } from "./shell.js";
import { Tabs } from "./tabs.js";
import { tick } from "./time.js";
import { View } from "./view.js";

const app = document.getElementById("app");
const RETRY_MS = 3000;
const INVALID = "Your key is not valid any more.";

class Console {
  #view = null;
  #address = null;
  #shell = null;
  #session = null;
  #feed = null;
  #tabs = new Tabs({ left: () => this.#signOut(), lost: () => this.#lose(INVALID), entered: () => location.reload() });

  async start() {
    follow((how) => this.#show(how));
    addEventListener("signed-out", () => this.#isOpen() && (this.#tabs.say("lost"), this.#lose(INVALID)));
    addEventListener("signed-in", () => this.#tabs.say("entered"));
    addEventListener("keydown", (event) => event.key === "Escape" && this.#shell?.escape());
    // A browser may bring back a page as it was left, also after the key was.
    addEventListener("pageshow", (event) => event.persisted && location.reload());
    setInterval(tick, 1000);
    load(here()).catch(() => null);
    try {
      this.#enter(await Session.current());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return this.#askForKey();
      const again = () => location.reload();
      fill(app, h("main.entry", { id: "main" }, failed(error, { again }).element));
      if (passes(error)) afterwards(error, again);
    }
  }

  #enter(session, how = { back: true }) {
    this.#session = session;
    this.#feed = new Feed(session.key?.id ?? "");
    // The service ends the feed of a key that was revoked, and refuses it.
    this.#feed.addEventListener("broken", () => Session.current().catch(() => null));
    const leave = () => (this.#tabs.say("left"), this.#signOut());
    this.#shell = new Shell(app, { session, feed: this.#feed, leave });
    this.#feed.start();
    this.#show(how);
  }

  /** The reader has signed out, here or in another tab: nothing of the address stays either. */
  #signOut() {
    history.replaceState(null, "", "/console");
    this.#lose();
  }

  #isOpen() {
    return this.#session !== null && !this.#session.isEnding;
  }

  /** The key is gone: nothing that it opened stays in the page, which says `why`. */
  #lose(why = null) {
    if (!this.#isOpen()) return;
    this.#session.end();
    this.#feed.end();
    this.#view?.leave();
    this.#session = this.#feed = this.#view = this.#shell = null;
    closeAll();
    fill(document.getElementById("toasts"));
    document.title = "Answerback";
    fill(app, h("main.entry", { id: "main" }));
    this.#askForKey(why);
  }

  async #askForKey(why = null) {
    const { signIn } = await import("./pages/sign_in.js");
    signIn(app, (session) => (this.#tabs.say("entered"), this.#enter(session, { back: false })), why);
  }

  /**
   * Draws the page of the address. Those that come by a link begin at the top, with the focus on the page; one that the
   * reader comes `back` to is as it was left, with the focus on the link to the page that was left.
   */
  async #show({ back }) {
    if (!this.#session) return;
    this.#view?.leave();
    const found = here();
    const left = this.#address;
    this.#address = location.pathname + location.search;
    const root = h("div.page");
    const place = { params: found.params, query: new URLSearchParams(location.search) };
    const view = new View(root, { ...place, session: this.#session, feed: this.#feed });
    this.#view = view;
    const { main } = this.#shell;
    const isShown = () => view === this.#view;
    this.#shell.show(found.name, place.query.get("tenant"));
    main.setAttribute("aria-busy", "true");
    const draw = async () => {
      const module = await load(found);
      if (!isShown()) return;
      fill(main, view.late, root);
      document.title = titleOf(module, found);
      if (!back) begin(main);
      await module.page(view);
    };
    try {
      await (back ? restoring(draw, isShown) : draw());
      if (back && isShown()) focusLink(main, left);
    } catch (error) {
      if (error.name === "AbortError" || error.status === 401 || !isShown()) return;
      if (!(error instanceof ApiError)) console.error(error);
      this.#failed(view, found, error);
    } finally {
      if (isShown()) main.removeAttribute("aria-busy");
    }
  }

  /** A page that could not be loaded is loaded once the service can bring it. */
  #failed(view, { name }, error) {
    view.leave();
    const again = () => view === this.#view && this.#show({ back: true });
    const { title, element } = failed(error, { section: this.#shell.sectionOf(name), again });
    fill(this.#shell.main, h("div.page", {}, element));
    document.title = `${title} · Answerback`;
    if (passes(error)) afterwards(error, again);
  }
}

function begin(main) {
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
}

/** Unless the page has put the focus elsewhere. */
function focusLink(main, href) {
  if (main.contains(document.activeElement) && document.activeElement !== main) return;
  const links = [...main.querySelectorAll("a")];
  links.find((each) => each.getAttribute("href") === href)?.focus({ preventScroll: true });
}

const titleOf = ({ title }, { params: { id } }) => `${title}${id ? ` ${tail(id)}` : ""} · Answerback`;

const here = () => match(location.pathname) ?? { name: "missing", params: {} };

async function load({ name }) {
  try {
    return await import(`./pages/${name}.js`);
  } catch {
    throw unreachable();
  }
}

/** Calls `again` once the service answers. */
function afterwards(error, again) {
  const wait = (error.retryAfter ?? 0) * 1000 || RETRY_MS;
  setTimeout(async () => {
    try {
      await Session.current();
    } catch (still) {
      if (passes(still)) return afterwards(still, again);
    }
    again();
  }, wait);
}

new Console().start();
