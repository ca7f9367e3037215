/**
 * The feed of all windows of a browser that are signed in with one key, as a shared worker: a browser opens six
 * connections to a host at most, and with one each the seventh window would wait for ever.
 */

import { FeedSource } from "./feed_source.js";

/** Of the windows that are looked at. */
const ports = new Set();
/** What came last: of the state, and of each event. */
const last = new Map();

const source = new FeedSource((said) => {
  if (!said.broken) last.set(said.name ?? "state", said);
  for (const port of ports) port.postMessage(said);
});

addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => (data === "open" ? join(port) : leave(port));
});

function join(port) {
  ports.add(port);
  for (const said of last.values()) port.postMessage(said);
  source.open();
}

function leave(port) {
  ports.delete(port);
  if (ports.size) return;
  source.close();
  last.clear();
}
