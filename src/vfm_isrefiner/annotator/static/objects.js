// The accepted objects of the scene, ours and those of other tabs and people.
import { count } from "./format.js";

const EVERY_MS = 2000;

export function createObjects(store, api, notices) {
  let version = 0; // of the scene's objects, as the server counts
  let timer = null;
  let gone = new Map(); // id -> version it was deleted at: an answer on its way may still hold it
  const path = (rest) => `api/scenes/${store.get().scene.id}/objects${rest}`;

  function put(changed, deleted = []) {
    const all = new Map(store.get().objects);
    for (const one of changed) {
      if ((gone.get(one.id) ?? -1) >= one.version || (all.get(one.id)?.version ?? -1) >= one.version) continue;
      gone.delete(one.id);
      all.set(one.id, one);
    }
    for (const id of deleted) all.delete(id);
    const selected = store.get().selected;
    store.set({ objects: all, selected: all.has(selected) ? selected : null });
  }

  async function poll() {
    const scene = store.get().scene;
    const first = version === 0;
    const answer = await api.get(path(`?since=${version}`));
    if (store.get().scene !== scene) return;
    version = answer.version;
    if (answer.objects.length || answer.deleted.length) put(answer.objects, answer.deleted);
    if (first && answer.objects.length) notices.speak(`${count(answer.objects.length, "object")} in this scene.`);
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(soon, EVERY_MS);
  }

  // A hidden tab rests; it asks at once when it is seen again.
  async function soon() {
    clearTimeout(timer);
    if (!document.hidden) {
      try {
        await poll();
      } catch (error) {
        if (error.status !== 0) notices.failed(error);
      }
    }
    later();
  }
  document.addEventListener("visibilitychange", () => store.get().scene && !document.hidden && soon());

  function start() {
    [version, gone] = [0, new Map()];
    store.set({ objects: new Map(), selected: null });
    return soon();
  }

  // Someone else was first: theirs is shown, and ours was not written. True when the error was of that kind.
  function conflict(error, id, say = notices.show) {
    if (error.status !== 409) return false;
    if (error.body?.object) put([error.body.object]);
    else if (error.body && "object" in error.body) put([], [id]);
    say(error.message);
    return true;
  }

  async function relabel(id, label) {
    const object = store.get().objects.get(id);
    if (!object || object.label === (label ?? "")) return;
    try {
      put([await api.patch(path(`/${id}`), { label: label ?? "", version: object.version })]);
      notices.done(`Object ${id} is ${label ?? "without a label"} now`);
    } catch (error) {
      if (!conflict(error, id)) notices.failed(error);
    }
  }

  async function restore(id) {
    try {
      const object = await api.post(path(`/${id}/restore`));
      gone.delete(id);
      put([object]);
      store.set({ selected: id });
    } catch (error) {
      notices.failed(error);
    }
  }

  async function remove(id) {
    const object = store.get().objects.get(id);
    if (!object) return;
    try {
      await api.remove(path(`/${id}?version=${object.version}`));
      gone.set(id, object.version);
      put([], [id]);
      notices.undoable(`Deleted ${object.label || "object"} ${id}.`, () => restore(id));
    } catch (error) {
      if (!conflict(error, id)) notices.failed(error);
    }
  }

  // The object after (1) or before (-1) the selected one, round and round; only unlabelled ones where asked.
  function neighbour(direction, unlabelled = false) {
    const { objects, selected } = store.get();
    const order = [...objects.values()].filter((one) => !unlabelled || !one.label || one.id === selected);
    const ids = order.map((one) => one.id);
    if (!ids.length) return null;
    const at = ids.indexOf(selected);
    const next = at < 0 ? (direction > 0 ? 0 : ids.length - 1) : (at + direction + ids.length) % ids.length;
    const found = order[next];
    return unlabelled && found.label ? null : found;
  }

  return { start, soon, put, conflict, relabel, remove, neighbour };
}
