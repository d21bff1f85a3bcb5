// Every command of the page, once: its keys, its words in the help sheet, and what it does.
// A key is written as the browser names it; "Mod" is Control, or Command on a Mac; "Shift" is named where it matters.

import { running } from "./session.js";

export function createCommands({ store, map, cursor, session, objects, notices, parts }) {
  const values = () => store.get();
  const display = (change) => store.set({ display: { ...values().display, ...change } });
  const selected = () => values().objects.get(values().selected);
  const isRunning = () => running(values());

  function select(object, none) {
    if (!object) return notices.show(none);
    store.set({ selected: object.id });
    map.show(object.polygon);
    return notices.speak(`${object.label || "Object"} ${object.id}`);
  }

  function setLabel(label) {
    const object = selected();
    store.set({ label });
    if (object && !isRunning()) return objects.relabel(object.id, label);
    return notices.speak(`Label: ${label ?? "none"}`);
  }

  function escape() {
    if (isRunning()) return session.discard();
    return store.set({ selected: null });
  }

  // While an object runs the key takes its last click back: that is what the hand means.
  function remove() {
    if (isRunning()) return session.undo();
    return selected() ? objects.remove(values().selected) : noObject();
  }

  function opacity(step) {
    const next = Math.min(1, Math.max(0, Math.round((values().display.opacity + step) * 20) / 20));
    display({ opacity: next });
    notices.speak(`Opacity ${Math.round(next * 100)} percent`);
  }

  function flip(name, words) {
    const now = !values().display[name];
    display({ [name]: now });
    notices.speak(words[Number(now)]);
  }

  const some = "Choose an object first: N, or a click in the list.";
  const noObject = () => notices.show(some);
  const arrow = (id, key, dx, dy) => [
    { id, keys: [key], onMap: true, run: () => cursor.move(dx, dy, false) },
    { id: `${id}-fine`, keys: [`Shift+${key}`], onMap: true, run: () => cursor.move(dx, dy, true) },
  ];
  const digits = Array.from({ length: 9 }, (_, place) => ({
    id: `label-${place + 1}`,
    keys: [String(place + 1)],
    run: () => values().labels[place] !== undefined && setLabel(values().labels[place]),
  }));

  const all = [
    { id: "add", group: "Object", name: "Add at the cursor", mouse: "Click", keys: ["Space"], onMap: true, run: () => cursor.click(true) },
    { id: "remove", group: "Object", name: "Remove at the cursor", mouse: "Right click, Shift+click", keys: ["Shift+Space"], onMap: true, run: () => cursor.click(false) },
    { id: "undo", group: "Object", name: "Undo", keys: ["z", "Mod+z"], enabled: () => (isRunning() ? values().state?.can_undo || values().pending.length : values().canTakeBack),
      run: () => (isRunning() ? session.undo() : notices.takeBack()) },
    { id: "redo", group: "Object", name: "Redo", keys: ["y", "Mod+y", "Mod+Shift+z"], enabled: () => values().state?.can_redo, run: session.redo },
    { id: "accept", group: "Object", name: "Accept", keys: ["Enter"], onMap: true, enabled: isRunning, run: session.accept },
    { id: "discard", group: "Object", name: "Discard, or choose none", keys: ["Escape"], enabled: isRunning, run: escape },
    { id: "edit", group: "Object", name: "Edit the chosen object", mouse: "Click on it", keys: ["e"], run: () => (selected() ? session.edit(selected()) : noObject()) },
    { id: "delete", group: "Object", name: "Delete the chosen object", keys: ["Delete", "Backspace"], run: remove },
    { id: "labels", group: "Object", name: "Label of this or the chosen object", shown: ["1", "…", "9"], keys: [] },
    { id: "label-0", group: "Object", name: "No label", keys: ["0"], run: () => setLabel(null) },
    ...digits,
    { id: "next", group: "Go", name: "Next object", keys: ["n"], run: () => select(objects.neighbour(1), "No object in this scene yet.") },
    { id: "previous", group: "Go", name: "Object before", keys: ["Shift+n"], run: () => select(objects.neighbour(-1), "No object in this scene yet.") },
    { id: "unlabelled", group: "Go", name: "Next unlabelled object", keys: ["u"], run: () => select(objects.neighbour(1, true), "Every object has a label.") },
    { id: "arrows", group: "Go", name: "Move the cursor", shown: ["←", "↑", "↓", "→"], keys: [] },
    { id: "arrows-fine", group: "Go", name: "… by one pixel", shown: ["Shift", "arrow"], keys: [] },
    ...arrow("left", "ArrowLeft", -1, 0), ...arrow("right", "ArrowRight", 1, 0), ...arrow("up", "ArrowUp", 0, -1), ...arrow("down", "ArrowDown", 0, 1),
    { id: "where", group: "Go", name: "Say where the cursor is", keys: ["w"], run: parts.sayPlace },
    { id: "zoom-in", group: "Go", name: "Closer", mouse: "Wheel", keys: ["+", "="], run: () => map.zoom(2, values().cursor) },
    { id: "zoom-out", group: "Go", name: "Farther", keys: ["-"], run: () => map.zoom(0.5, values().cursor) },
    { id: "running", group: "Go", name: "Go to the running object", keys: ["r"], run: () => map.show(values().state?.polygon) },
    { id: "whole", group: "Go", name: "Whole scene", keys: ["f"], run: () => map.whole() },
    { id: "list", group: "Go", name: "To the list and back to the map", keys: ["l"], run: parts.toggleList },
    { id: "fill", group: "Look", name: "Fill or outline", keys: ["o"], pressed: () => values().display.fill, run: () => flip("fill", ["Outlines", "Filled"]) },
    { id: "hide", group: "Look", name: "Hide the masks", keys: ["h"], pressed: () => values().display.hidden, run: () => flip("hidden", ["Masks shown", "Masks hidden"]) },
    { id: "probability", group: "Look", name: "Probability of the running object", keys: ["p"], pressed: () => values().display.probability,
      run: () => flip("probability", ["Mask", "Probability"]) },
    { id: "fainter", group: "Look", name: "Less opacity", keys: ["["], run: () => opacity(-0.1) },
    { id: "stronger", group: "Look", name: "More opacity", keys: ["]"], run: () => opacity(0.1) },
    { id: "panel", group: "Look", name: "Hide or show the side panel", keys: ["b"], run: parts.togglePanel },
    { id: "theme", group: "Look", name: "Light, dark, or as the system", keys: ["t"], run: parts.nextTheme },
    { id: "export", group: "Look", name: "Export", keys: ["x"], run: parts.openExport },
    { id: "help", group: "Look", name: "This sheet", keys: ["?"], run: parts.openHelp },
  ];
  return { all, setLabel, select, byId: Object.fromEntries(all.map((one) => [one.id, one])) };
}
