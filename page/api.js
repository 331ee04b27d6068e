// Questions to the API. Every failure is an `ApiError` with a sentence that says what to do.

const PATIENCE_MS = 20_000;

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The JSON at a path of this site; `signal` gives the question up. */
export async function get(path, parameters = {}, signal = null) {
  const address = new URL(path, location.origin);
  for (const [key, value] of Object.entries(parameters)) address.searchParams.set(key, value);
  const signals = [AbortSignal.timeout(PATIENCE_MS), signal].filter(Boolean);
  let response;
  let body;
  try {
    response = await fetch(address, { signal: AbortSignal.any(signals), headers: { accept: "application/json" } });
    body = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "The audit cannot be reached. Check your connection, then try again.");
  }
  return parsed(response, body);
}

function parsed(response, body) {
  let answer = null;
  try {
    answer = JSON.parse(body);
  } catch {
    // Something between us and the API answered; its page is of no use to the visitor.
  }
  if (response.ok && answer !== null) return answer;
  const said = answer?.error?.message;
  if (typeof said === "string" && said) throw new ApiError(response.status, said);
  throw new ApiError(response.status, `The audit answered with an error (${response.status}). Try again in a minute.`);
}
