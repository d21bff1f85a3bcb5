// Which running object a tab goes on with after a reload, a crash or a closed tab.
//
// The keys of the sessions that this browser opened are kept. A tab holds a lock on the one it uses, and the browser
// lets the lock go however the tab ends, so a second tab never takes over an object that the first is still drawing.
import { kept } from "./store.js";

const RELOAD_MS = 700; // a reloaded page may still hold its lock for a moment

// Ids of scenes are numbers that every server gives: under one address others may have been here, or lie beside this one.
export const homeOf = ({ name, width, height, geotransform }) =>
  `${location.pathname} ${name} ${width}x${height} ${geotransform ?? ""}`;

const place = (home) => `sessions.${home}`;

const held = new Set(); // locks of this tab

function lock(key, patient) {
  if (held.has(key)) return Promise.resolve(true);
  if (!navigator.locks) return Promise.resolve(false);
  return new Promise((resolve) => {
    const options = patient ? { signal: AbortSignal.timeout(RELOAD_MS) } : { ifAvailable: true };
    navigator.locks
      .request(`isrefiner.${key}`, options, (mine) => {
        if (mine) held.add(key);
        resolve(mine !== null);
        return mine === null ? undefined : new Promise(() => {}); // held as long as the tab lives
      })
      .catch(() => resolve(false));
  });
}

function own(home) {
  try {
    return sessionStorage.getItem(`isrefiner.session.${home}`);
  } catch {
    return null;
  }
}

// Keys worth trying, this tab's first; each is locked when it comes out.
export async function* candidates(home) {
  const mine = own(home);
  if (mine && (!navigator.locks || (await lock(mine, true)))) yield mine;
  for (const key of kept.read(place(home), [])) {
    if (key !== mine && (await lock(key, false))) yield key;
  }
}

export async function remember(home, key) {
  const keys = kept.read(place(home), []).filter((one) => one !== key);
  kept.write(place(home), [key, ...keys].slice(0, 20));
  try {
    sessionStorage.setItem(`isrefiner.session.${home}`, key);
  } catch {
    // the list above is enough
  }
  await lock(key, false);
}

const waitingOf = (key) => `unanswered.${key}`;

// Clicks that wait for their answer, behind those that the server had: a page that was left before the answer came
// plays those again that the server never got.
export const unanswered = {
  keep(state, waiting) {
    if (!state) return;
    const { session, editing, clicks } = state;
    const name = waitingOf(session);
    const record = { editing, taken: clicks.length, clicks: [...clicks, ...waiting] };
    // where it cannot be written, an older record would be a wrong one
    if (!waiting.length || !kept.write(name, record)) kept.drop(name);
  },

  // The clicks that are missing in what the server says now; none where anything else has changed since, nor where another
  // tab may be at the same session (a browser without locks).
  of(state) {
    const before = kept.read(waitingOf(state.session), null);
    if (!before || !navigator.locks) return [];
    const opened = before.editing === null && before.taken === 0 && state.editing !== null;
    if (!opened && state.editing !== before.editing) return [];
    const expected = opened ? before.clicks.slice(1) : before.clicks; // the click that opens an object is none on it
    const same = (a, b) => a.x === b?.x && a.y === b?.y && a.positive === b?.positive;
    return state.clicks.every((one, place) => same(one, expected[place])) ? expected.slice(state.clicks.length) : [];
  },
};

export function forget(home, key) {
  kept.drop(waitingOf(key));
  kept.write(place(home), kept.read(place(home), []).filter((one) => one !== key));
}
