// Makes src/vfm_isrefiner/annotator/static/vendor/: the parts of OpenLayers that the annotator's page uses, in one module.
// Needs Node and, in the folder it is run from, `npm install ol esbuild`. Then: node /path/to/docs/vendor_openlayers.mjs
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = process.cwd();
const out = resolve(dirname(fileURLToPath(import.meta.url)), "../src/vfm_isrefiner/annotator/static/vendor");
const { build } = createRequire(join(here, "package.json"))("esbuild");

const ENTRY = `
export { default as Feature } from "ol/Feature.js";
export { default as Map } from "ol/Map.js";
export { default as View } from "ol/View.js";
export { default as MultiPolygon } from "ol/geom/MultiPolygon.js";
export { default as Point } from "ol/geom/Point.js";
export { default as ImageLayer } from "ol/layer/Image.js";
export { default as TileLayer } from "ol/layer/Tile.js";
export { default as VectorLayer } from "ol/layer/Vector.js";
export { default as Projection } from "ol/proj/Projection.js";
export { default as ImageStatic } from "ol/source/ImageStatic.js";
export { default as VectorSource } from "ol/source/Vector.js";
export { default as XYZ } from "ol/source/XYZ.js";
export { default as TileGrid } from "ol/tilegrid/TileGrid.js";
export { default as DragPan } from "ol/interaction/DragPan.js";
export { default as MouseWheelZoom } from "ol/interaction/MouseWheelZoom.js";
export { default as PinchZoom } from "ol/interaction/PinchZoom.js";
export { Circle, Fill, RegularShape, Stroke, Style } from "ol/style.js";
`;

const version = (name) => JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"), "utf8")).version;

// The packages of which something went into the bundle, in order of their names.
function packages(metafile) {
  const output = Object.values(metafile.outputs)[0];
  const used = Object.entries(output.inputs).filter(([, part]) => part.bytesInOutput > 0);
  const names = used.map(([path]) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean);
  return [...new Set(names)].sort();
}

function licence(name) {
  const folder = join(here, "node_modules", name);
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  if (!file) throw new Error(`${name} has no licence file; say by hand under what terms it may be kept here`);
  return `${name} ${version(name)}\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
}

if (!existsSync(join(here, "node_modules", "ol"))) throw new Error("no node_modules/ol here: npm install ol esbuild");
const made = await build({
  stdin: { contents: ENTRY, resolveDir: here },
  bundle: true,
  format: "esm",
  minify: true,
  metafile: true,
  write: false,
  target: "es2022",
  legalComments: "none",
  banner: { js: `// OpenLayers ${version("ol")}, the parts in docs/vendor_openlayers.mjs; licences in LICENSES.txt` },
});
mkdirSync(out, { recursive: true });
writeFileSync(join(out, "ol.js"), made.outputFiles[0].text);
writeFileSync(join(out, "LICENSES.txt"), packages(made.metafile).map(licence).join("\n" + "-".repeat(80) + "\n\n"));
console.log(`${out}: ${packages(made.metafile).join(", ")}; ${made.outputFiles[0].contents.length} bytes`);
