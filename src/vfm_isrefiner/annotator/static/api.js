// Calls of the server. Every failure is an ApiError with one sentence that a person can read.

const TRIES = 3; // of a call that the server puts off with 429 or 503
const LONGEST_WAIT_S = 5;

export class ApiError extends Error {
  // status 0: no answer at all
  constructor(status, detail, body = null) {
    super(detail);
    this.status = status;
    this.body = body;
  }
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

function sentence(status, body) {
  if (typeof body?.detail === "string") return body.detail;
  if (Array.isArray(body?.detail)) return body.detail.map((one) => one.msg).join("; ");
  return `The server answered with ${status}.`;
}

// `reached(true | false | "denied")` is told after every call how the server stands.
export function createApi(reached) {
  async function once(method, path, body) {
    const options = { method, credentials: "same-origin", cache: "no-store" };
    if (body !== undefined) {
      options.headers = { "Content-Type": "application/json" };
      options.body = JSON.stringify(body);
    }
    try {
      return await fetch(path, options);
    } catch {
      reached(false);
      throw new ApiError(0, "The server does not answer.");
    }
  }

  async function send(method, path, body) {
    for (let left = TRIES; ; left -= 1) {
      const response = await once(method, path, body);
      const busy = response.status === 429 || response.status === 503;
      if (busy && left > 1) {
        await pause(Math.min(Number(response.headers.get("Retry-After")) || 1, LONGEST_WAIT_S));
        continue;
      }
      reached(response.status === 401 || response.status === 403 ? "denied" : true);
      if (response.ok) return response;
      const answer = await response.json().catch(() => null);
      throw new ApiError(response.status, sentence(response.status, answer), answer);
    }
  }

  async function json(method, path, body) {
    const response = await send(method, path, body);
    return response.status === 204 ? null : response.json();
  }

  return {
    get: (path) => json("GET", path),
    post: (path, body) => json("POST", path, body ?? {}),
    patch: (path, body) => json("PATCH", path, body),
    remove: (path) => json("DELETE", path),
    download: (path) => send("GET", path),
  };
}
