/** What an open job waits for, in the same words wherever it is shown. */

import { sentence } from "../format.js";
import { time } from "../time.js";

/** Follows "waiting for"; null where it waits for nothing. `linkTo` links to a job by its id. */
export function waitsFor({ waiting_for: cause }, linkTo) {
  switch (cause?.reason) {
    case "job":
      return ["the answer to ", cause.job_id ? linkTo(cause.job_id) : "an earlier message"];
    case "worker":
      return ["a free worker"];
    case "retry":
      return ["another try, ", time(cause.until, "next"), cause.code ? `: ${sentence(cause.code)}` : null];
    case "callback":
      return ["the LLM's callback, due ", time(cause.until, "left")];
    case "quarantine":
      return ["its turn to run alone"];
    default:
      return null;
  }
}
