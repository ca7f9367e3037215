/** The time of the service: what it dates is compared with that, since the clock of a reader may be wrong. */

/** A `Date` header has whole seconds, and may be a second old. */
const COARSE_MS = 2000;

let ahead = 0;

/** How far the clock of the service is ahead of the reader's, in milliseconds: 0 where they agree, as far as is known. */
export const lead = () => ahead;

export const serviceNow = () => Date.now() + ahead;

/** Hears the `date` of a response to what was `asked` then; a clock that it does not contradict is left as it is. */
export function hear(date, asked) {
  const served = Date.parse(date);
  if (Number.isNaN(served)) return;
  ahead = Math.min(Math.max(ahead, served - Date.now()), served + COARSE_MS - asked);
}
