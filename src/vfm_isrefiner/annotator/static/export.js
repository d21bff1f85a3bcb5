// The export menu. The file comes through the page, so that a refusal is a sentence and not a broken download.
import { make } from "./elements.js";

const FORMATS = [
  ["gpkg", "GeoPackage", ".gpkg"],
  ["geojson", "GeoJSON", ".geojson"],
  ["shp", "Shapefile", ".zip"],
  ["coco", "COCO", ".json"],
  ["tif", "Ids as GeoTIFF", ".tif"],
];

function nameFrom(response, otherwise) {
  return /filename="?([^";]+)"?/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? otherwise;
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export function createExport(store, api, notices) {
  const menu = document.getElementById("export-menu");
  const button = document.getElementById("export");
  const items = FORMATS.map(([format, words, ending]) =>
    make("button", { type: "button", role: "menuitem", tabindex: "-1", onclick: () => run(format, ending) }, words, make("span", {}, ending)),
  );
  menu.append(...items);

  async function run(format, ending) {
    close();
    const { scene } = store.get();
    try {
      const response = await api.download(`api/scenes/${scene.id}/export?format=${format}`);
      const name = nameFrom(response, `${scene.name.replace(/\.\w+$/, "")}${ending}`);
      save(await response.blob(), name);
      notices.show(`Exported ${name}`);
    } catch (error) {
      notices.failed(error);
    }
  }

  function close() {
    if (menu.hidden) return;
    menu.hidden = true;
    button.setAttribute("aria-expanded", "false");
    button.focus();
  }

  function open() {
    if (!menu.hidden) return close();
    document.body.classList.remove("no-panel");
    menu.hidden = false;
    button.setAttribute("aria-expanded", "true");
    return items[0].focus();
  }

  menu.addEventListener("keydown", (event) => {
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") close();
    else if (to !== undefined) items[(to + items.length) % items.length].focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!menu.hidden && !event.target.closest("#export-menu, #export")) close();
  });
  return { open };
}
