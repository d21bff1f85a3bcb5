// The mouse and the keyboard's cursor on the map, and the place that is shown below it.
import { toMap, toPixel } from "./map.js";

const STEP = 12; // pixels of the screen that an arrow moves the cursor
const EDGE = 40; // pixels of the screen that the map keeps round the cursor

// Whole pixels: that is what is meant, and what the marker then shows.
const pixelUnder = (map, event) => toPixel(map.ol.getEventCoordinate(event)).map(Math.round);

export function watchMouse(map, store, session) {
  const viewport = map.ol.getViewport();
  map.ol.on("click", ({ originalEvent: event, coordinate }) => {
    if (event.ctrlKey) return; // a Mac's other right click; its menu event follows
    session.click(...toPixel(coordinate).map(Math.round), !event.shiftKey);
  });
  viewport.addEventListener("pointerdown", () => map.ol.getTargetElement().focus({ preventScroll: true }));
  viewport.addEventListener("contextmenu", (event) => {
    event.preventDefault();
    session.click(...pixelUnder(map, event), false);
  });
  viewport.addEventListener("pointermove", (event) => {
    store.set({ cursor: null, at: pixelUnder(map, event) });
  });
  viewport.addEventListener("pointerleave", () => store.get().cursor || store.set({ at: null }));
}

export function createCursor(map, store, session) {
  const clamp = (value, end) => Math.min(Math.max(value, 0), end - 1);

  function place() {
    const { cursor, at } = store.get();
    return cursor ?? at ?? toPixel(map.ol.getView().getCenter()).map(Math.round);
  }

  // The map follows the cursor to its border.
  function keepInView(cursor) {
    const [width, height] = map.ol.getSize();
    const on = map.ol.getPixelFromCoordinate(toMap(...cursor));
    if (!on) return;
    const missing = [on[0], on[1]].map((value, axis) => {
      const end = [width, height][axis];
      return Math.min(0, value - EDGE) + Math.max(0, value - end + EDGE);
    });
    if (!missing[0] && !missing[1]) return;
    const view = map.ol.getView();
    const [x, y] = view.getCenter();
    view.setCenter([x + missing[0] * view.getResolution(), y - missing[1] * view.getResolution()]);
  }

  function move(dx, dy, fine) {
    const { scene } = store.get();
    if (!scene) return;
    const step = fine ? 1 : Math.max(1, Math.round(STEP * map.ol.getView().getResolution()));
    const [x, y] = place();
    const cursor = [clamp(x + dx * step, scene.width), clamp(y + dy * step, scene.height)];
    store.set({ cursor, at: cursor });
    keepInView(cursor);
  }

  function click(positive) {
    const cursor = place();
    store.set({ cursor, at: cursor });
    session.click(...cursor, positive);
  }

  return { move, click, place };
}
