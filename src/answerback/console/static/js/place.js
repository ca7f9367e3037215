/** Where the reader is on a page: kept with its entry of the history, for Back, Forward and a page that is loaded anew. */

/** How long a page must stand still that is scrolled. */
const STILL_MS = 100;

let timer = null;
/** How many pages are being drawn: until they are, the browser scrolls as what it shows gets shorter. */
let drawing = 0;
/** Whether the reader has done something since a page began to be drawn, as to scroll it. */
let isMoved = false;

/** Remembers the place, as before another page takes this one's. */
export function keep() {
  clearTimeout(timer);
  if (!drawing) history.replaceState({ ...history.state, top: scrollY }, "");
}

/** Draws a page by `draw`, and scrolls to where the reader left it, if it still `isShown` then and they are not at work. */
export async function restoring(draw, isShown) {
  const top = history.state?.top ?? 0;
  drawing += 1;
  isMoved = false;
  try {
    await draw();
    if (isShown() && !isMoved) scrollTo(0, top);
  } finally {
    drawing -= 1;
  }
}

history.scrollRestoration = "manual";
for (const name of ["wheel", "touchmove", "pointerdown", "keydown"])
  addEventListener(name, () => (isMoved = true), { capture: true, passive: true });
addEventListener("scroll", () => {
  clearTimeout(timer);
  timer = setTimeout(keep, STILL_MS);
});
