// How the scene is shown: bands, stretch, opacity, theme, side panel. Kept in the browser for the next time.
import { fill, make } from "./elements.js";
import { kept } from "./store.js";

const WORDS = { percentile: "2–98 %", minmax: "least to most", none: "as stored" };
const THEMES = ["system", "light", "dark"];
export const LOOKS = { opacity: 0.35, fill: true, hidden: false, probability: false };

export const keptLooks = () => ({ ...LOOKS, ...kept.read("looks", {}), hidden: false, probability: false });

export function watchDisplay(store) {
  const opacity = document.getElementById("opacity");
  const stretch = document.getElementById("stretch");
  const bands = [0, 1, 2].map((place) => document.getElementById(`band-${place}`));
  const change = (values) => store.set({ display: { ...store.get().display, ...values } });

  opacity.addEventListener("input", () => change({ opacity: Number(opacity.value) }));
  stretch.addEventListener("change", () => change({ stretch: stretch.value }));
  for (const select of bands) select.addEventListener("change", () => change({ bands: bands.map((one) => Number(one.value)) }));

  store.on(["scene"], ({ scene, display }) => {
    if (!scene) return;
    const names = Array.from({ length: scene.bands }, (_, place) => [place + 1, scene.band_names?.[place] || `band ${place + 1}`]);
    bands.forEach((select, place) => fill(select, names, display.bands[place]));
    bands[0].parentElement.hidden = scene.bands < 2;
    fill(stretch, scene.stretches.map((name) => [name, WORDS[name] ?? name]), display.stretch);
  });
  store.on(["display"], ({ display, scene }) => {
    opacity.value = display.opacity;
    kept.write("looks", { opacity: display.opacity, fill: display.fill });
    if (scene) kept.write(`view.${scene.name}`, { bands: display.bands, stretch: display.stretch });
  });
  opacity.value = store.get().display.opacity;

  const author = document.getElementById("author");
  author.value = store.get().author;
  author.addEventListener("change", () => {
    kept.write("author", author.value.trim());
    store.set({ author: author.value.trim() });
  });
}

// Bands and stretch of a scene: those of the last time, if it still has them.
export function viewOf(scene) {
  const last = kept.read(`view.${scene.name}`, {});
  const fits =
    Array.isArray(last.bands) && last.bands.length === 3 && last.bands.every((one) => one >= 1 && one <= scene.bands);
  const stretch = scene.stretches.includes(last.stretch) ? last.stretch : scene.default_stretch;
  return { bands: fits ? last.bands : scene.default_bands, stretch };
}

export function nextTheme(notices) {
  const root = document.documentElement;
  const theme = THEMES[(THEMES.indexOf(root.dataset.theme ?? "system") + 1) % THEMES.length];
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  kept.write("theme", theme);
  notices.show(`Theme: ${theme === "system" ? "as the system" : theme}`);
}

export function togglePanel() {
  const closed = document.body.classList.toggle("no-panel");
  kept.write("panel", !closed);
}

export function startPanel() {
  if (!kept.read("panel", true)) document.body.classList.add("no-panel");
  const details = document.getElementById("display");
  details.open = kept.read("details", innerHeight > 700);
  details.addEventListener("toggle", () => kept.write("details", details.open));
}

export function chooseScene(store, open) {
  const select = document.getElementById("scene-choice");
  const [name, facts] = ["scene-name", "scene-facts"].map((id) => document.getElementById(id));
  select.addEventListener("change", () => open(select.value));
  store.on(["scene"], ({ scene, scenes }) => {
    if (!scene) return;
    select.replaceChildren(...scenes.map((one) => make("option", { value: one.id }, one.name)));
    select.value = scene.id;
    select.hidden = scenes.length < 2;
    name.textContent = scene.name;
    name.classList.toggle("spoken", scenes.length > 1);
    const ground = scene.gsd_m ? ` · ${Number(scene.gsd_m.toPrecision(2))} m` : "";
    facts.textContent = `${scene.width} × ${scene.height}${ground} · ${scene.crs ?? "pixels"}`;
    facts.title = facts.textContent;
    document.title = `${scene.name} – ISRefiner annotate`;
  });
}
