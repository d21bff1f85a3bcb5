// The sheet of all keys, made from the commands themselves.
import { make } from "./elements.js";
import { keyText } from "./keys.js";
import { kept } from "./store.js";

function keysOf(command) {
  const combinations = command.shown ? [command.shown] : command.keys.slice(0, 2).map(keyText);
  return combinations.flatMap((keys, place) => [place ? " or " : null, ...keys.map((key) => make("kbd", {}, key))]).filter((one) => one !== null);
}

export function createHelp(store) {
  const sheet = document.getElementById("help");
  const letters = document.getElementById("single-keys");
  letters.checked = store.get().singleKeys;
  letters.addEventListener("change", () => {
    kept.write("singleKeys", letters.checked);
    store.set({ singleKeys: letters.checked });
  });
  document.getElementById("help-close").addEventListener("click", () => sheet.close());
  sheet.addEventListener("click", (event) => event.target === sheet && sheet.close()); // the shade round it
  sheet.addEventListener("keydown", (event) => event.key === "?" && sheet.close());

  function fill(commands) {
    const listed = commands.all.filter((one) => one.group);
    const groups = [...new Set(listed.map((one) => one.group))].map((group) => {
      const lines = listed.filter((one) => one.group === group).map((one) => {
        const mouse = one.mouse ? make("span", { class: "mouse" }, one.mouse) : null;
        return make("div", {}, make("dt", {}, one.name, mouse), make("dd", {}, ...keysOf(one)));
      });
      return make("section", {}, make("h3", {}, group), make("dl", {}, ...lines));
    });
    document.getElementById("help-groups").replaceChildren(...groups);
  }

  return { fill, open: () => sheet.showModal() };
}
