/** Starts the console: the session, the frame, and the page of the address. */

import { ApiError, unreachable } from "./api.js";
import { fill, h } from "./dom.js";
import { Feed } from "./feed.js";
import { failure } from "./parts/notice.js";
import { follow, match } from "./router.js";
import { Session } from "./session.js";
import { Shell } from "./shell.js";
import { tick } from "./time.js";
import { View } from "./view.js";

const app = document.getElementById("app");
const RETRY_MS = 3000;

class Console {
  #view = null;
  #shell = null;
  #session = null;
  #feed = null;

  async start() {
    follow((how) => this.#show(how));
    addEventListener("signed-out", () => this.#session && this.#askForKey());
    setInterval(tick, 1000);
    load(here()).catch(() => null);
    try {
      this.#enter(await Session.current());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return this.#askForKey();
      fill(
        app,
        h(
          "div.entry",
          {},
          failure(error, () => location.reload()),
        ),
      );
    }
  }

  #enter(session) {
    this.#session = session;
    this.#feed = new Feed();
    this.#shell = new Shell(app, session, this.#feed);
    this.#feed.start();
    this.#show({ back: true });
  }

  async #askForKey() {
    this.#session = null;
    this.#feed?.close();
    this.#view?.leave();
    const { signIn } = await import("./pages/sign_in.js");
    signIn(app, (session) => this.#enter(session));
  }

  /** Draws the page of the address. Those that come by a link begin at the top, with the focus on the page. */
  async #show({ back }) {
    if (!this.#session) return;
    this.#view?.leave();
    const found = here();
    const root = h("div.page");
    const place = { params: found.params, query: new URLSearchParams(location.search) };
    const view = new View(root, { ...place, session: this.#session, feed: this.#feed });
    this.#view = view;
    this.#shell.show(found.name);
    try {
      const module = await load(found);
      if (view !== this.#view) return;
      fill(this.#shell.main, root);
      document.title = `${module.title} · Answerback`;
      if (!back) {
        scrollTo(0, 0);
        this.#shell.main.focus({ preventScroll: true });
      }
      await module.page(view);
    } catch (error) {
      if (error.name === "AbortError" || error.status === 401 || view !== this.#view) return;
      this.#failed(view, root, error);
    }
  }

  /** A page that could not be loaded is loaded once the service can be reached. */
  #failed(view, root, error) {
    const again = () => view === this.#view && this.#show({ back: true });
    fill(this.#shell.main, root);
    fill(root, failure(error, again));
    if (error.status === 0) setTimeout(again, RETRY_MS);
  }
}

const here = () => match(location.pathname) ?? { name: "missing", params: {} };

async function load({ name }) {
  try {
    return await import(`./pages/${name}.js`);
  } catch {
    throw unreachable();
  }
}

new Console().start();
