// How objects, the running mask, clicks and the keyboard's cursor look on the map.
import { colourOf, withAlpha } from "./format.js";
import { Circle, Fill, RegularShape, Stroke, Style } from "./vendor/ol.js";

const [INK, PAPER] = ["rgba(10, 14, 18, 0.85)", "#ffffff"];
const [ADDS, REMOVES] = ["#12a150", "#e5484d"];

const line = (color, width) => new Style({ stroke: new Stroke({ color, width, lineJoin: "round" }) });

// A dark casing under each line keeps it visible on bright and on dark ground.
function outlined(colour, alpha, width, casing) {
  const fill = alpha > 0 ? new Fill({ color: withAlpha(colour, alpha) }) : undefined;
  return [new Style({ fill, stroke: new Stroke({ color: INK, width: width + casing }) }), line(colour, width)];
}

const made = new Map();
function once(key, make) {
  if (!made.has(key)) made.set(key, make());
  return made.get(key);
}

export function objectStyle(object, { labels, selected, display }) {
  const colour = colourOf(labels, object.label);
  const alpha = display.fill ? display.opacity : 0;
  if (object.id !== selected) return once(`${colour} ${alpha}`, () => outlined(colour, alpha, 1.5, 1.5));
  return once(`${colour} ${alpha} selected`, () => [line(INK, 7), line(PAPER, 5), ...outlined(colour, Math.max(alpha, 0.15), 2.5, 0)]);
}

export function runningStyle({ labels, label, display }) {
  const colour = colourOf(labels, label);
  const alpha = display.fill ? Math.max(display.opacity, 0.2) : 0;
  return once(`${colour} ${alpha} running`, () => [
    new Style({ fill: alpha ? new Fill({ color: withAlpha(colour, alpha) }) : undefined, stroke: new Stroke({ color: INK, width: 5 }) }),
    line(PAPER, 2.5),
  ]);
}

const bars = (points, stroke) => new RegularShape({ points, radius: 4, radius2: 0, angle: points === 2 ? Math.PI / 2 : 0, stroke });

// Plus and minus differ in form too, not in colour alone; a click without its answer is a ring.
export function clickStyle(positive, pending, newest) {
  return once(`click ${positive} ${pending} ${newest}`, () => {
    const colour = positive ? ADDS : REMOVES;
    const size = newest ? 8 : 6.5;
    const disk = new Circle({
      radius: size,
      fill: new Fill({ color: pending ? withAlpha(colour, 0.35) : colour }),
      stroke: new Stroke({ color: PAPER, width: 2 }),
    });
    const casing = new Circle({ radius: size + 1, stroke: new Stroke({ color: INK, width: 1.5 }) });
    const sign = bars(positive ? 4 : 2, new Stroke({ color: PAPER, width: 2 }));
    return [casing, disk, sign].map((image) => new Style({ image }));
  });
}

export function cursorStyle() {
  return once("cursor", () => {
    const cross = (color, width) => new RegularShape({ points: 4, radius: 15, radius2: 0, stroke: new Stroke({ color, width }) });
    const ring = (color, width) => new Circle({ radius: 8, stroke: new Stroke({ color, width }) });
    return [cross(INK, 5), ring(INK, 5), cross("#ffe14d", 2), ring("#ffe14d", 2)].map((image) => new Style({ image }));
  });
}
