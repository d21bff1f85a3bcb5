// Small pieces of the page made by hand.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

export function swatch(colour) {
  const dot = make("i", { class: "swatch" });
  dot.style.backgroundColor = colour;
  return dot;
}

// The options of a choice, and which one is taken.
export function fill(select, options, value) {
  select.replaceChildren(...options.map(([name, text]) => make("option", { value: name }, text)));
  select.value = value;
}
