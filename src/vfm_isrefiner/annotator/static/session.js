// The running object: its clicks go to the server one after the other, whatever the hands do meanwhile.
import { area, count, percent, spokenArea } from "./format.js";
import { candidates, forget, homeOf, remember, unanswered } from "./resume.js";

const isRunning = (state) => Boolean(state && (state.clicks.length || state.editing !== null));
export const running = ({ state, pending }) => isRunning(state) || pending.length > 0;

export function createSession(store, api, notices, objects, progress) {
  let last = Promise.resolve();
  let queue = []; // what waits for its answer: {clicked: a click, or null for anything else}
  let leaveNote = () => {}; // what the server noted is said until its next answer
  let labelBefore = null; // the label that was current before an object was edited

  // A page that is left now goes on with the clicks that wait, up to the first call of another kind: what comes behind
  // that one may be for another object. A page that is being left hears of no answer, as one does whose server is away:
  // what was kept until then stays for the next one.
  function keepClicks() {
    if (!store.get().online) return;
    const other = queue.findIndex(({ clicked }) => clicked === null);
    const waiting = other < 0 ? queue : queue.slice(0, other);
    unanswered.keep(store.get().state, waiting.map(({ clicked }) => clicked));
  }

  // One call at a time, in the order of the hands.
  function serial(work, clicked = null) {
    const mine = { clicked };
    queue.push(mine);
    keepClicks();
    const next = last.then(() => {
      store.set({ busy: true });
      return work();
    });
    last = next.catch((error) => notices.failed(error)).finally(() => {
      queue = queue.filter((one) => one !== mine);
      keepClicks();
      store.set({ busy: false });
    });
    return last;
  }

  const home = () => homeOf(store.get().scene);
  const path = (call) => `api/sessions/${store.get().state.session}/${call}`;

  // An object in work keeps its own label; the next one has the label of before.
  function adopt(state, more = {}) {
    const { state: held, objects: all, label } = store.get();
    const [before, now] = [held?.editing ?? null, state.editing ?? null];
    if (before === null && now !== null) {
      labelBefore = label;
      more = { ...more, label: all.get(now)?.label || null, selected: null };
    } else if (before !== null && now === null) {
      more = { ...more, label: labelBefore };
    }
    store.set({ ...more, state: { ...state, editing: now } });
    leaveNote();
    leaveNote = state.note ? notices.show(state.note) : () => {};
  }

  async function begin(scene) {
    const { author } = store.get();
    const more = author ? { author } : {};
    for await (const key of candidates(home())) {
      try {
        const held = await api.get(`api/sessions/${key}`);
        if (held.scene !== scene) continue;
        return await api.post(`api/scenes/${scene}/sessions`, { ...more, resume: key });
      } catch (error) {
        if (error.status !== 404) throw error;
        forget(home(), key);
      }
    }
    return api.post(`api/scenes/${scene}/sessions`, more);
  }

  // `again`: the session is another one, and what waits for its answer goes on waiting.
  async function open(scene, again = false) {
    const shown = () => store.get().scene.id === scene; // another one may be chosen meanwhile
    const state = shown() ? await begin(scene) : null;
    if (!state || !shown()) return;
    await remember(home(), state.session);
    const missing = again ? [] : unanswered.of(state);
    adopt(state, again ? {} : { pending: [] });
    for (const { x, y, positive } of missing) click(x, y, positive);
    const clicks = state.clicks.length + missing.length;
    if (isRunning(state) || missing.length) notices.show(`The object you were at is back, with ${count(clicks, "click")}.`);
  }

  async function replay({ editing, clicks }) {
    const held = editing !== null && store.get().objects.get(editing);
    if (held) adopt(await api.post(path("edit"), { object: held.id, version: held.version }));
    for (const { x, y, positive } of clicks) adopt(await api.post(path("click"), { x, y, positive }));
  }

  // The server knows the session no more (it was started anew, say): the clicks are played again in a new one.
  async function known(call) {
    try {
      return await call();
    } catch (error) {
      if (error.status !== 404) throw error;
      const { state } = store.get();
      forget(home(), state.session);
      await open(state.scene, true);
      if (!isRunning(store.get().state) && isRunning(state)) await replay(state);
      return call();
    }
  }

  function describe({ clicks, polygon, area_m2, area_px, score }) {
    if (!clicks.length && !polygon) return "No click left.";
    if (!polygon) return `${count(clicks.length, "click")}, nothing found there yet.`;
    const quality = score === null ? "" : `, quality ${percent(score)}`;
    return `${count(clicks.length, "click")}, ${spokenArea(area(area_m2, area_px))}${quality}.`;
  }

  function click(x, y, positive) {
    const { scene, pending } = store.get();
    if (!scene || !store.get().state) return undefined;
    if (x < -0.5 || y < -0.5 || x > scene.width - 0.5 || y > scene.height - 0.5) {
      return notices.show("That point lies outside of the scene; click on the picture.");
    }
    const mine = { x, y, positive };
    store.set({ pending: [...pending, mine] });
    progress.acted();
    const others = () => store.get().pending.filter((one) => one !== mine);
    return serial(async () => {
      try {
        adopt(await known(() => api.post(path("click"), mine)), { pending: others() });
        if (!store.get().pending.length) notices.speak(describe(store.get().state));
      } finally {
        store.set({ pending: others() });
      }
    }, mine);
  }

  const step = (call) => () =>
    serial(async () => {
      if (!store.get().state[`can_${call}`]) return;
      adopt(await known(() => api.post(path(call))));
      notices.speak(describe(store.get().state));
    });

  // The object in work was changed or deleted by someone else: its clicks may be played on what is there now.
  function overtaken(error) {
    const { editing } = store.get().state;
    if (![404, 409].includes(error.status)) throw error;
    if (!objects.conflict(error, editing, () => {})) objects.put([], [editing]);
    notices.speak(error.message);
    notices.offer(error.message, "Play my clicks again", () =>
      serial(async () => {
        const before = store.get().state;
        if (!isRunning(before)) return;
        adopt(await api.post(path("reset")));
        await replay(before);
      }),
    );
  }

  function accept() {
    return serial(async () => {
      const { state, label } = store.get();
      if (!isRunning(state)) return notices.show("Nothing to accept yet; click on an object first.");
      if (!state.polygon) return notices.show("There is no mask to accept; click on the object once more, or discard (Esc).");
      const send = () => api.post(path("accept"), { label: label ?? "" });
      const answer = await (state.editing === null ? known(send) : send().catch(overtaken));
      if (!answer) return undefined;
      objects.put([answer.object]);
      progress.accepted(state.clicks.length);
      adopt(answer.state);
      notices.done(`Saved: ${answer.object.label || "object"} ${answer.object.id}, ${area(answer.object.area_m2, answer.object.area_px)}`);
    });
  }

  // What was discarded, again; unless another object was begun since.
  function bringBack(before) {
    return serial(() => {
      if (running(store.get())) return notices.show("Accept (Enter) or discard (Esc) the running object first.");
      return replay(before);
    });
  }

  function discard() {
    return serial(async () => {
      const before = store.get().state;
      if (!isRunning(before)) return;
      adopt(await known(() => api.post(path("reset"))));
      const text = before.editing === null ? "Discarded." : "Changes discarded.";
      notices.undoable(text, () => bringBack(before));
    });
  }

  function edit(object) {
    return serial(async () => {
      if (running(store.get())) return notices.show("Accept (Enter) or discard (Esc) the running object first.");
      try {
        adopt(await known(() => api.post(path("edit"), { object: object.id, version: object.version })));
        notices.speak(`Editing ${object.label || "object"} ${object.id}.`);
      } catch (error) {
        if (!objects.conflict(error, object.id)) throw error;
      }
    });
  }

  // The name that what is accepted from now on bears.
  const rename = () =>
    serial(async () => {
      const { state, author } = store.get();
      if (state) adopt(await api.post(`api/scenes/${state.scene}/sessions`, { author, resume: state.session }));
    });

  // After the server was away: what it holds is the truth.
  const refresh = () =>
    serial(async () => {
      const { state } = store.get();
      if (state) adopt(await known(() => api.get(`api/sessions/${store.get().state.session}`)));
    });

  return { open: (scene) => serial(() => open(scene)), click, undo: step("undo"), redo: step("redo"), accept, discard, edit, rename, refresh };
}
