// The annotator's page: puts the parts together and opens a scene.
import { createApi } from "./api.js";
import { watchBar } from "./bar.js";
import { createCommands } from "./commands.js";
import { chooseScene, keptLooks, nextTheme, startPanel, togglePanel, viewOf, watchDisplay } from "./display.js";
import { createExport } from "./export.js";
import { groundText } from "./format.js";
import { createHelp } from "./help.js";
import { watchButtons, watchHands, watchKeys } from "./keys.js";
import { labelsOf, watchLabels } from "./labels.js";
import { watchList } from "./list.js";
import { createMap } from "./map.js";
import { createNotices, watchServer } from "./notices.js";
import { createObjects } from "./objects.js";
import { createCursor, watchMouse } from "./pointer.js";
import { createProgress } from "./progress.js";
import { watchReadout } from "./readout.js";
import { createSession } from "./session.js";
import { createStore, kept } from "./store.js";

const store = createStore({
  scenes: [],
  scene: null,
  state: null, // of the running object, as the server says it
  pending: [], // clicks that wait for their answer
  objects: new Map(), // id -> accepted object
  selected: null,
  labels: [], // given, then added, then those of objects of others
  label: null, // of the running object
  display: { ...keptLooks(), bands: [1], stretch: "percentile" },
  online: true,
  busy: false,
  said: null, // what was just done
  canTakeBack: false,
  progress: null,
  cursor: null, // [x, y] of the keyboard's cursor
  at: null, // [x, y] that is read out
  author: kept.read("author", ""),
  singleKeys: kept.read("singleKeys", true),
});

const element = (id) => document.getElementById(id);
const api = createApi((online) => store.set({ online }));
const notices = createNotices(store);
const progress = createProgress(store);
const objects = createObjects(store, api, notices);
const session = createSession(store, api, notices, objects, progress);
const map = createMap(element("map"), store);
const cursor = createCursor(map, store, session);
const exporting = createExport(store, api, notices);
const help = createHelp(store);

function sayPlace() {
  const [x, y] = cursor.place();
  const { geotransform } = store.get().scene;
  notices.show(`x ${x}, y ${y}${geotransform ? `; on the ground ${groundText(geotransform, x, y)}` : ""}`);
}

function toggleList() {
  const inList = document.activeElement.closest("#object-list");
  const row = document.querySelector("#object-list .selected .choose") ?? document.querySelector("#object-list .choose");
  (inList || !row ? element("map") : row).focus();
}

const parts = { sayPlace, toggleList, togglePanel, nextTheme: () => nextTheme(notices), openExport: exporting.open, openHelp: help.open };
const commands = createCommands({ store, map, cursor, session, objects, notices, parts });

store.on(["author"], session.rename);
startPanel();
help.fill(commands);
watchDisplay(store);
chooseScene(store, open);
watchLabels(store, commands);
watchList(store, commands);
watchBar(store);
watchReadout(map, store);
watchMouse(map, store, session);
watchHands();
watchKeys(commands, store);
watchButtons(commands, store);
watchServer(store, async () => {
  if (!store.get().scene) return start();
  await api.get("health");
  await Promise.all([session.refresh(), objects.soon()]);
});

// Where the map stood is kept for a reload; each scene has its own place.
function keepPlace() {
  const { scene } = store.get();
  const view = map.ol.getView();
  if (scene && view.getCenter()) kept.write(`place.${scene.name}`, { center: view.getCenter(), resolution: view.getResolution() });
}
map.ol.on("moveend", keepPlace);

async function open(id) {
  const scene = await api.get(`api/scenes/${encodeURIComponent(id)}`);
  store.set({ state: null, pending: [], cursor: null, at: null, said: null });
  store.set({ scene, display: { ...store.get().display, ...viewOf(scene) }, labels: labelsOf(scene), label: scene.labels[0] ?? null });
  map.open(scene, kept.read(`place.${scene.name}`, null));
  history.replaceState(null, "", `#scene=${encodeURIComponent(id)}`);
  await objects.start();
  await session.open(scene.id);
}

async function start() {
  try {
    const scenes = await api.get("api/scenes");
    store.set({ scenes });
    const wanted = new URLSearchParams(location.hash.slice(1)).get("scene");
    const first = scenes.find((one) => String(one.id) === wanted) ?? scenes[0];
    if (first) await open(first.id);
    else notices.show("The server has no scene; start it with the path of one.");
  } catch (error) {
    notices.failed(error);
  }
}

start();
element("map").focus({ preventScroll: true });
