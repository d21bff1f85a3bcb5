// How the work goes: objects, objects an hour and clicks an object, of this tab. Pauses do not count.
const PAUSE_MS = 60_000;
const ENOUGH_MS = 60_000; // of work, before an hour can be guessed
const KEY = "isrefiner.progress";

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export function createProgress(store) {
  store.set({ progress: read() ?? { objects: 0, clicks: 0, workedMs: 0, last: null } });

  function write(progress) {
    store.set({ progress });
    try {
      sessionStorage.setItem(KEY, JSON.stringify(progress));
    } catch {
      // counted until the page is closed
    }
  }

  function acted(more = {}) {
    const { progress } = store.get();
    const now = Date.now();
    const spent = progress.last === null ? 0 : Math.min(now - progress.last, PAUSE_MS);
    write({ ...progress, ...more, workedMs: progress.workedMs + spent, last: now });
  }

  function accepted(clicks) {
    const { progress } = store.get();
    acted({ objects: progress.objects + 1, clicks: progress.clicks + clicks });
  }

  return { acted, accepted };
}

export function pace({ objects, clicks, workedMs }) {
  return {
    objects,
    perHour: objects && workedMs >= ENOUGH_MS ? (objects * 3_600_000) / workedMs : NaN,
    clicksPerObject: objects ? clicks / objects : NaN,
  };
}
