// The list of accepted objects, newest first, and the counts of the session.
import { icon, make, swatch } from "./elements.js";
import { area, colourOf, count, decimal } from "./format.js";
import { pace } from "./progress.js";

const SHOWN = 500; // rows; beyond that the list would slow the page, and the map shows all

export function watchList(store, commands) {
  const list = document.getElementById("object-list");
  const rows = new Map(); // id -> {object, row}

  function act(id, name) {
    store.set({ selected: id });
    commands.byId[name].run();
  }

  function makeRow(object, { labels, author }) {
    const name = object.label || "no label";
    const size = area(object.area_m2, object.area_px);
    const by = object.author && object.author !== author ? `, by ${object.author}` : "";
    const choose = make("button", { type: "button", class: "choose", onclick: () => commands.select(store.get().objects.get(object.id)) });
    const number = by ? `${object.id} · ${object.author}` : `${object.id}`;
    choose.append(swatch(colourOf(labels, object.label)), make("span", { class: "name" }, name), make("span", { class: "id" }, number));
    choose.append(make("span", { class: "size" }, size));
    choose.append(make("span", { class: "clicks", title: count(object.clicks, "click") }, `${object.clicks}`));
    choose.setAttribute("aria-label", `${name} ${object.id}, ${size}, ${count(object.clicks, "click")}${by}`);
    if (by) choose.title = by.slice(2);
    const tool = (command, glyph, words) =>
      make("button", { type: "button", class: "plain tool", title: words, "aria-label": `${words} ${object.id}`, onclick: () => act(object.id, command) }, icon(glyph));
    return make("li", {}, choose, tool("edit", "edit", "Edit"), tool("delete", "bin", "Delete"));
  }

  // The focus stays where it was, in the new row.
  function replace(old, row) {
    const place = [...old.children].indexOf(document.activeElement);
    old.replaceWith(row);
    row.children[place]?.focus({ preventScroll: true });
  }

  function draw(values) {
    const { objects, selected, state } = values;
    const newest = [...objects.values()].sort((a, b) => b.id - a.id).slice(0, SHOWN);
    const wanted = newest.map((object) => {
      const held = rows.get(object.id);
      if (held?.object === object) return held;
      const made = { object, row: makeRow(object, values) };
      if (held) replace(held.row, made.row);
      return made;
    });
    rows.clear();
    wanted.forEach((one, place) => {
      rows.set(one.object.id, one);
      if (list.children[place] !== one.row) list.insertBefore(one.row, list.children[place] ?? null);
    });
    while (list.children.length > wanted.length) list.lastChild.remove();
    document.getElementById("object-count").textContent = objects.size || "";
    document.getElementById("object-none").hidden = objects.size > 0;
    for (const [id, { row }] of rows) {
      row.classList.toggle("selected", id === selected);
      row.classList.toggle("editing", id === (state?.editing ?? null));
      row.firstChild.setAttribute("aria-current", String(id === selected));
    }
    rows.get(selected)?.row.scrollIntoView({ block: "nearest" });
  }

  store.on(["objects", "selected", "state"], draw);
  store.on(["progress"], ({ progress }) => drawProgress(progress));
  drawProgress(store.get().progress);
}

function drawProgress(progress) {
  const { objects, perHour, clicksPerObject } = pace(progress);
  document.getElementById("done-objects").textContent = objects;
  document.getElementById("done-pace").textContent = decimal(perHour, 0);
  document.getElementById("done-clicks").textContent = decimal(clicksPerObject, 1);
}
