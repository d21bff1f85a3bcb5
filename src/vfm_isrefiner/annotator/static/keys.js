// From a key or a button to its command.
const MAC = /Mac|iP(hone|ad)/.test(navigator.platform);

// Shift is part of the name only where the key itself does not say it ("?" is Shift and another key).
function nameOf(event) {
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const letter = /^[a-z]$/.test(key) || key.length > 1;
  const mod = MAC ? event.metaKey : event.ctrlKey;
  return `${mod ? "Mod+" : ""}${event.shiftKey && letter ? "Shift+" : ""}${key}`;
}

const typing = (element) => element.matches("input:not([type=checkbox], [type=range]), textarea, select");
const onControl = (element) => element.closest("button, a, input, select, summary, [role=menu]") !== null;

const toMap = () => document.getElementById("map").focus({ preventScroll: true });

export function keyText(key) {
  const words = { Mod: MAC ? "⌘" : "Ctrl", Escape: "Esc", Delete: "Del", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
  return key.split(/\+(?=.)/).map((part) => words[part] ?? (part.length === 1 ? part.toUpperCase() : part));
}

export function watchKeys(commands, store) {
  const byKey = new Map(commands.all.flatMap((one) => one.keys.map((key) => [key, one])));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
    if (typing(event.target)) {
      if (event.key === "Escape") toMap();
      return;
    }
    const name = nameOf(event);
    const command = byKey.get(name);
    if (!command) return;
    // Enter, Space and arrows belong to the control that has the focus.
    if (command.onMap && onControl(event.target)) return;
    if (name.replace("Shift+", "").length === 1 && !store.get().singleKeys) return;
    event.preventDefault();
    if (event.repeat && !/Arrow|^[+=[\]-]$/.test(name)) return;
    command.run();
  });
}

// The map has the focus from the start; its frame is shown to those who come by Tab.
export function watchHands() {
  document.addEventListener("keydown", ({ key }) => key === "Tab" && (document.body.dataset.hands = "keyboard"), true);
  document.addEventListener("pointerdown", () => (document.body.dataset.hands = "mouse"), true);
}

export function watchButtons(commands, store) {
  const buttons = [...document.querySelectorAll("[data-command]")];
  for (const button of buttons) {
    const { name, keys, run } = commands.byId[button.dataset.command];
    const hint = `${name} (${keyText(keys[0]).join(" ")})`;
    button.title = hint;
    if (!button.textContent.trim() || button.dataset.command === "help") button.setAttribute("aria-label", name);
    button.setAttribute("aria-keyshortcuts", keys[0].replace("Mod", "Control"));
    button.addEventListener("click", run);
  }
  function refresh() {
    for (const button of buttons) {
      const { enabled, pressed } = commands.byId[button.dataset.command];
      if (enabled) button.disabled = !enabled();
      if (pressed) button.setAttribute("aria-pressed", String(pressed()));
    }
  }
  store.on(["state", "pending", "canTakeBack", "display"], refresh);
  refresh();
  // After a click of the mouse the keys belong to the map again: Enter accepts, it does not press the button once more.
  document.addEventListener("click", (event) => {
    const control = event.target.closest("button, summary, input[type=range], input[type=checkbox]");
    if (event.detail === 0 || !control || document.querySelector("dialog[open], [role=menu]:not([hidden])")) return;
    toMap();
  });
}
