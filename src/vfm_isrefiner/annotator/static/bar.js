// The bar at the foot of the map: what the running object is like, or what to do next.
import { area, colourOf, count, percent } from "./format.js";
import { running } from "./session.js";

export function watchBar(store) {
  const bar = document.getElementById("bar");
  const text = document.getElementById("running-text");
  const dot = bar.querySelector(".swatch");

  function words({ state, pending, said, scene }) {
    if (!scene || !state) return "Opening …";
    const clicks = state.clicks.length + pending.length;
    if (!clicks && state.editing === null) return said ?? "Click on an object to begin";
    const parts = [state.editing === null ? null : `Editing ${state.editing}`, clicks ? count(clicks, "click") : null];
    if (state.polygon) parts.push(area(state.area_m2, state.area_px));
    else if (!pending.length && state.clicks.length) parts.push("nothing found yet");
    if (state.polygon && state.score !== null) parts.push(percent(state.score));
    return parts.filter(Boolean).join(" · ");
  }

  function draw(values) {
    const { state, scene, label, labels } = values;
    const works = running(values);
    text.textContent = words(values);
    text.title = works && state?.score !== null ? "The share is the quality that the model expects: overlap with the true object" : "";
    dot.hidden = !scene;
    if (scene) dot.style.backgroundColor = colourOf(labels, label);
    bar.classList.toggle("works", works);
  }

  store.on(["state", "pending", "said", "scene", "label", "labels"], draw);
  store.on(["state"], ({ state }) => state?.clicks.length && store.set({ said: null }));
  // Fast answers show no sign of waiting; slow ones do.
  let timer = null;
  store.on(["busy"], ({ busy }) => {
    clearTimeout(timer);
    timer = setTimeout(() => bar.classList.toggle("busy", busy), busy ? 200 : 0);
  });
  draw(store.get());
}
