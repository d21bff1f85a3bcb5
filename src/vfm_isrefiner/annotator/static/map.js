// The map: the scene in its own pixels, never warped. A pixel (x, y) lies at [x, -y], for a map counts upwards.
import { clickStyle, cursorStyle, objectStyle, runningStyle } from "./styles.js";
import * as ol from "./vendor/ol.js";

const DEEPEST = 1 / 32; // pixels of the scene on a pixel of the screen, at the closest
const CRISP = 0.5; // closer than this the pixels are shown as squares
const HAND = 4; // pixels that a hand may slip between pressing and letting go, and still click
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export const toMap = (x, y) => [x, -y];
export const toPixel = ([x, y]) => [x, -y];
const flip = (polygon) => polygon.coordinates.map((rings) => rings.map((ring) => ring.map(([x, y]) => [x, -y])));
export const geometryOf = (polygon) => new ol.MultiPolygon(flip(polygon));

const vector = (zIndex, more = {}) =>
  new ol.VectorLayer({ source: new ol.VectorSource(), zIndex, updateWhileAnimating: true, updateWhileInteracting: true, ...more });

function tileSource(scene, projection, display, interpolate) {
  const { width, height, levels, id } = scene;
  const resolutions = Array.from({ length: levels }, (_, z) => 2 ** (levels - 1 - z));
  const extent = [-0.5, 0.5 - height, width - 0.5, 0.5];
  const tileGrid = new ol.TileGrid({ origin: [-0.5, 0.5], resolutions, extent, tileSize: scene.tile_size });
  const query = new URLSearchParams({ bands: display.bands.join(","), stretch: display.stretch });
  const tileUrlFunction = ([z, x, y]) => `api/scenes/${id}/tiles/${z}/${x}/${y}.png?${query}`;
  return new ol.XYZ({ tileGrid, projection, tileUrlFunction, interpolate, wrapX: false, transition: 120 });
}

const showsProbability = (state, display) => Boolean(display.probability && state?.window && state.polygon);

export function createMap(target, store) {
  const map = new ol.Map({
    target,
    controls: [],
    moveTolerance: HAND,
    interactions: [new ol.DragPan(), new ol.PinchZoom(), new ol.MouseWheelZoom()],
  });
  const picture = [new ol.TileLayer({ minResolution: CRISP }), new ol.TileLayer({ maxResolution: CRISP })];
  const probability = new ol.ImageLayer({ zIndex: 2 });
  const layers = { objects: vector(3), running: vector(4), clicks: vector(5), cursor: vector(6, { style: cursorStyle() }) };
  for (const layer of [...picture, probability, ...Object.values(layers)]) map.addLayer(layer);
  const source = (name) => layers[name].getSource();
  const extent = ({ width, height }) => [-0.5, 0.5 - height, width - 0.5, 0.5];
  let projection = null;

  function drawPicture({ scene, display }) {
    if (!scene || !projection) return;
    picture.forEach((layer, crisp) => layer.setSource(tileSource(scene, projection, display, !crisp)));
  }

  function open(scene, place) {
    projection = new ol.Projection({ code: `scene ${scene.id}`, units: "pixels", extent: extent(scene) });
    map.setView(
      new ol.View({
        projection,
        extent: extent(scene),
        constrainOnlyCenter: true,
        minResolution: DEEPEST,
        maxResolution: Math.max(scene.width, scene.height) / 200,
        center: place?.center ?? toMap(scene.width / 2, scene.height / 2),
        resolution: place?.resolution ?? 1,
      }),
    );
    drawPicture(store.get());
    if (!place) whole(false);
  }

  function fit(box, closest, animated = true) {
    const small = map.getSize()?.[0] < 500;
    const padding = small ? [20, 20, 80, 20] : [48, 48, 110, 48];
    map.getView().fit(box, { padding, minResolution: closest, duration: animated && !calm() ? 250 : 0 });
  }
  const whole = (animated = true) => store.get().scene && fit(extent(store.get().scene), 0.25, animated);
  const show = (polygon) => polygon && fit(geometryOf(polygon).getExtent(), 0.25);

  // The point that is looked at stays where it is.
  function zoom(factor, point = null) {
    const view = map.getView();
    view.cancelAnimations();
    const resolution = view.getConstrainedResolution(view.getResolution() / factor);
    view.animate({ resolution, anchor: point ? toMap(...point) : undefined, duration: calm() ? 0 : 150 });
  }

  // Only what changed is made anew: a scene may hold thousands of objects.
  const features = new Map();
  let shown = {};
  function drawObjects(values) {
    const { objects, state, display } = values;
    const editing = state?.editing ?? null;
    for (const [id, { feature }] of features) {
      if (objects.has(id) && id !== editing) continue;
      source("objects").removeFeature(feature);
      features.delete(id);
    }
    for (const [id, object] of objects) {
      const held = features.get(id);
      if (id === editing || held?.object === object || !object.polygon) continue;
      if (held) source("objects").removeFeature(held.feature);
      const feature = new ol.Feature(geometryOf(object.polygon));
      feature.set("id", id);
      features.set(id, { feature, object });
      source("objects").addFeature(feature);
    }
    layers.objects.setVisible(!display.hidden);
    const looks = { labels: values.labels, selected: values.selected, display };
    if (Object.keys(looks).some((name) => looks[name] !== shown[name])) {
      shown = looks;
      layers.objects.setStyle((feature) => objectStyle(store.get().objects.get(feature.get("id")) ?? {}, store.get()));
    }
  }

  function drawRunning(values) {
    const { state, display } = values;
    source("running").clear();
    if (state?.polygon) source("running").addFeature(new ol.Feature(geometryOf(state.polygon)));
    layers.running.setStyle(runningStyle(values));
    layers.running.setVisible(!display.hidden && !showsProbability(state, display));
  }

  function drawClicks({ state, pending }) {
    source("clicks").clear();
    const answered = state?.clicks ?? [];
    const all = [...answered.map((one) => [one, false]), ...pending.map((one) => [one, true])];
    all.forEach(([{ x, y, positive }, waits], place) => {
      const feature = new ol.Feature(new ol.Point(toMap(x, y)));
      feature.setStyle(clickStyle(positive, waits, place === all.length - 1));
      source("clicks").addFeature(feature);
    });
  }

  let answers = 0; // each answer has its own picture
  function drawProbability({ state, display }) {
    if (!showsProbability(state, display)) return probability.setSource(null);
    const [left, top, right, bottom] = state.window;
    const imageExtent = [left - 0.5, 0.5 - bottom, right - 0.5, 0.5 - top];
    answers += 1;
    const url = `api/sessions/${state.session}/probability.png?answer=${answers}`;
    return probability.setSource(new ol.ImageStatic({ url, imageExtent, projection, interpolate: false }));
  }

  function drawCursor({ cursor }) {
    source("cursor").clear();
    if (cursor) source("cursor").addFeature(new ol.Feature(new ol.Point(toMap(...cursor))));
  }

  let painted = null; // bands and stretch of the tiles shown
  store.on(["display"], (values) => {
    const wanted = `${values.display.bands} ${values.display.stretch}`;
    if (wanted !== painted && values.scene) drawPicture(values);
    painted = wanted;
  });
  store.on(["objects", "selected", "display", "state", "labels"], drawObjects);
  store.on(["state", "label", "display", "labels"], drawRunning);
  store.on(["state", "pending"], drawClicks);
  store.on(["state", "display"], drawProbability);
  store.on(["cursor"], drawCursor);
  return { ol: map, open, whole, show, zoom };
}
