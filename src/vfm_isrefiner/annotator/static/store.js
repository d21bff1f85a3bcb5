// What the page knows, in one place. A part that draws something listens for the names it draws.

export function createStore(values) {
  const listeners = new Map();

  function on(names, listener) {
    for (const name of names) {
      if (!(name in values)) throw new Error(`${name}: nothing of that name is kept`);
      listeners.set(name, [...(listeners.get(name) ?? []), listener]);
    }
  }

  // Each listener is called once, however many of its names changed.
  function set(changes) {
    const due = new Set();
    for (const [name, value] of Object.entries(changes)) {
      if (!(name in values)) throw new Error(`${name}: nothing of that name is kept`);
      if (Object.is(values[name], value)) continue;
      values[name] = value;
      for (const listener of listeners.get(name) ?? []) due.add(listener);
    }
    for (const listener of due) listener(values);
  }

  return { on, set, get: () => values };
}

// Settings of the browser (theme, opacity, …); a browser that keeps nothing still annotates.
export const kept = {
  read(name, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(`isrefiner.${name}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  write(name, value) {
    try {
      localStorage.setItem(`isrefiner.${name}`, JSON.stringify(value));
      return true;
    } catch {
      return false; // private windows may refuse; the setting then lasts as long as the page
    }
  },
  drop(name) {
    try {
      localStorage.removeItem(`isrefiner.${name}`);
    } catch {
      // then nothing was kept either
    }
  },
};
