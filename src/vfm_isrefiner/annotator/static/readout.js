// The line below the map: the place under the cursor in pixels and on the ground, the zoom, and the scale bar.
import { groundText } from "./format.js";

const LONGEST = 120; // pixels of the screen that a scale bar may take

const lengthText = (metres) => (metres >= 1000 ? `${metres / 1000} km` : metres >= 1 ? `${metres} m` : `${Math.round(metres * 100)} cm`);

// The longest of 1, 2, 5 times a power of ten that fits.
function roundLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((one) => one * power).find((one) => one <= most) ?? power;
}

export function watchReadout(map, store) {
  const [pixel, ground, zoom, bar] = ["pixel", "ground", "zoom", "scalebar"].map((id) => document.getElementById(id));

  function place({ at, scene }) {
    pixel.textContent = at && scene ? `x ${at[0]}  y ${at[1]}` : "";
    const known = at && scene?.geotransform;
    ground.textContent = known ? `${groundText(scene.geotransform, ...at)}${scene.crs ? `  ${scene.crs}` : ""}` : "";
  }

  function scale() {
    const { scene } = store.get();
    const resolution = map.ol.getView().getResolution();
    if (!scene || !resolution) return;
    zoom.textContent = `${Math.round(100 / resolution)} %`;
    bar.hidden = !scene.gsd_m;
    if (!scene.gsd_m) return;
    const metres = roundLength(LONGEST * resolution * scene.gsd_m);
    bar.style.width = `${metres / (resolution * scene.gsd_m)}px`;
    bar.textContent = lengthText(metres);
  }

  store.on(["at", "scene"], place);
  store.on(["scene"], scale);
  map.ol.on("postrender", scale);
}
