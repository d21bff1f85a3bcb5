// Which running object a tab goes on with after a reload, a crash or a closed tab.
//
// The keys of the sessions that this browser opened are kept. A tab holds a lock on the one it uses, and the browser
// lets the lock go however the tab ends, so a second tab never takes over an object that the first is still drawing.
import { kept } from "./store.js";

const RELOAD_MS = 700; // a reloaded page may still hold its lock for a moment

const place = (scene) => `sessions.${scene}`;

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

function own(scene) {
  try {
    return sessionStorage.getItem(`isrefiner.session.${scene}`);
  } catch {
    return null;
  }
}

// Keys worth trying, this tab's first; each is locked when it comes out.
export async function* candidates(scene) {
  const mine = own(scene);
  if (mine && (!navigator.locks || (await lock(mine, true)))) yield mine;
  for (const key of kept.read(place(scene), [])) {
    if (key !== mine && (await lock(key, false))) yield key;
  }
}

export async function remember(scene, key) {
  const keys = kept.read(place(scene), []).filter((one) => one !== key);
  kept.write(place(scene), [key, ...keys].slice(0, 20));
  try {
    sessionStorage.setItem(`isrefiner.session.${scene}`, key);
  } catch {
    // the list above is enough
  }
  await lock(key, false);
}

export function forget(scene, key) {
  kept.write(place(scene), kept.read(place(scene), []).filter((one) => one !== key));
}
