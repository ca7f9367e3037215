/** The events of a background response that was asked for as a stream; no other has any. */

import { eventsOf, send } from "../api.js";
import { fill, h } from "../dom.js";
import { counted } from "../format.js";
import { append } from "./text.js";

/** Events that are shown: the newest. An answer of a megabyte has hundreds of thousands. */
const SHOWN = 200;
const FRAME_MS = 16;
/** The share of the time that goes into drawing what comes, so that the page stays quick. */
const DRAWING = 1 / 4;

/**
 * Draws them in `parts.events`, and the text that they bring in `parts.output` until that `isWhole`; `live` is what stands
 * around them.
 */
export async function follow(view, address, parts, live) {
  try {
    const response = await send("GET", address, { query: { stream: "true" }, signal: view.signal });
    live.hidden = false;
    const drawing = draft(parts);
    for await (const { event, data } of eventsOf(response)) drawing.take(event, JSON.parse(data));
    drawing.end();
  } catch {
    live.hidden = !parts.events.childElementCount;
  }
}

/** What came, drawn now and then. */
function draft(parts) {
  const said = h("div.said", { dir: "auto" });
  const earlier = h("li.muted");
  let text = "";
  let came = 0;
  let fresh = [];
  let wait = FRAME_MS;
  let asked = null;

  function draw() {
    asked = null;
    const began = performance.now();
    if (text && !parts.isWhole) {
      if (!said.isConnected) fill(parts.output, said);
      append(said, text);
    }
    earlier.remove();
    parts.events.prepend(...fresh.reverse());
    while (parts.events.childElementCount > SHOWN) parts.events.lastChild.remove();
    if (came > SHOWN) parts.events.append(fill(earlier, `${counted(came - SHOWN, "earlier event")} not shown`));
    text = "";
    fresh = [];
    wait = Math.max(FRAME_MS, (performance.now() - began) / DRAWING);
  }
  function take(event, { delta, sequence_number: number }) {
    if (event.endsWith("output_text.delta")) text += delta;
    came += 1;
    fresh.push(h("li", {}, h("span.muted", {}, String(number ?? "")), h("code", {}, event)));
    if (fresh.length > SHOWN) fresh.shift();
    asked ??= setTimeout(draw, wait);
  }
  function end() {
    clearTimeout(asked);
    draw();
  }
  return { take, end };
}
