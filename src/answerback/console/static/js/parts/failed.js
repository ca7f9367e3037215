/** What is shown in the place of a page that cannot be: what happened, what to do next, and ways on. */

import { h } from "../dom.js";

const OF_A_STATUS = {
  0: ["The service cannot be reached", "Is it running? This page comes by itself once it answers."],
  403: ["This page is not for your key", "Sign in with a key that may see it."],
  404: ["There is no such thing here", "It may have been deleted, be too old to be kept, or belong to another tenant."],
  429: ["Too many requests at once", "This page comes by itself in a moment."],
};
const OF_THE_ADDRESS = ["The service refuses this address", "A part of it may be mistyped."];
const OF_THE_SERVICE = ["The service could not answer", "This page is asked for again by itself. Its log says more."];
const OF_THE_PAGE = ["The page broke", "Load it again. If it breaks again, please report what it says here."];

function wordsOf({ status }) {
  if (status === undefined) return OF_THE_PAGE;
  return status >= 500 ? OF_THE_SERVICE : (OF_A_STATUS[status] ?? OF_THE_ADDRESS);
}

/** Whether it may pass by itself. */
export const passes = ({ status }) => status === 0 || status === 429 || status >= 500;

const upper = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** The element, and its title. `section` is where the page belongs, `{href, name}`; `again` tries it once more. */
export function failed(error, { section = null, again }) {
  const [title, next] = wordsOf(error);
  const why = error.status === 0 ? null : h("p.wrap", {}, h("bdi", { dir: "auto" }, upper(error.message)));
  const retry = passes(error) || error.status === undefined;
  const ways = [
    retry ? h("button.button.primary", { type: "button", onclick: again }, "Try again") : null,
    section ? h("a.button", { href: section.href, class: retry ? "" : "primary" }, section.name) : null,
    section && section.href !== "/console" ? h("a.button.plain", { href: "/console" }, "Home") : null,
  ];
  const words = h("div.empty", {}, h("h1", {}, title), why, h("p", {}, next), h("div.row", {}, ways));
  return { title, element: h("section.card", { role: "alert" }, words) };
}
