// The labels of the scene: which one the running object takes, how many objects have each, and new ones.
import { make, swatch } from "./elements.js";
import { colourOf, count } from "./format.js";
import { kept } from "./store.js";

const added = (scene) => kept.read(`labels.${scene.name}`, []);

export const labelsOf = (scene) => [...new Set([...scene.labels, ...added(scene)])];

export function watchLabels(store, commands) {
  const group = document.getElementById("labels");
  const form = document.getElementById("label-form");
  let chips = [];

  function draw({ labels }) {
    chips = [...labels, null].map((label, place) => {
      const key = label === null ? "0" : place < 9 ? String(place + 1) : "";
      const total = make("span", { class: "total" });
      const chip = make("button", { type: "button", class: "chip", onclick: () => commands.setLabel(label) });
      chip.append(swatch(colourOf(labels, label)), make("span", { class: "name" }, label ?? "no label"), total);
      if (key) chip.append(make("kbd", { "aria-hidden": "true" }, key));
      if (key) chip.setAttribute("aria-keyshortcuts", key);
      return { label, chip, total };
    });
    group.replaceChildren(...chips.map(({ chip }) => chip));
  }

  function refresh({ objects, label: current }) {
    const totals = new Map();
    for (const { label } of objects.values()) totals.set(label || null, (totals.get(label || null) ?? 0) + 1);
    for (const { label, chip, total } of chips) {
      if (label === current && chip.getAttribute("aria-pressed") !== "true") chip.scrollIntoView({ block: "nearest" });
      chip.setAttribute("aria-pressed", String(label === current));
      total.textContent = totals.get(label) ?? "";
      chip.setAttribute("aria-label", `${label ?? "no label"}, ${count(totals.get(label) ?? 0, "object")}`);
    }
  }

  // Objects of other tabs may bring labels; those known keep their places, and so their keys and colours.
  function learn({ objects, labels }) {
    const more = [...objects.values()].map((one) => one.label).filter((label) => label && !labels.includes(label));
    if (more.length) store.set({ labels: [...labels, ...new Set(more)] });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const label = form.elements[0].value.trim();
    form.elements[0].value = "";
    const { scene, labels } = store.get();
    if (!label || !scene) return;
    kept.write(`labels.${scene.name}`, [...new Set([...added(scene), label])]);
    if (!labels.includes(label)) store.set({ labels: [...labels, label] });
    commands.setLabel(label);
    document.getElementById("map").focus({ preventScroll: true });
  });

  store.on(["labels"], (values) => {
    draw(values);
    refresh(values);
  });
  store.on(["objects"], learn);
  store.on(["objects", "label"], refresh);
}
