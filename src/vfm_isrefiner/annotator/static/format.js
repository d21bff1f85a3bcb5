// Numbers as a person reads them, and the colours of labels.

const number = (value, digits = 0) =>
  new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

// Area on the ground, or in pixels where the scene lies nowhere.
export function area(squareMetres, pixels) {
  if (squareMetres === null || squareMetres === undefined) return `${number(pixels ?? 0)} px`;
  if (squareMetres >= 10_000) return `${number(squareMetres / 10_000, squareMetres >= 1_000_000 ? 0 : 2)} ha`;
  return `${number(squareMetres, squareMetres < 100 ? 1 : 0)} m²`;
}

export const spokenArea = (text) =>
  text.replace("m²", "square metres").replace(/\bha$/, "hectares").replace(/\bpx$/, "pixels");

export const percent = (share) => `${Math.round(share * 100)} %`;

export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

export function decimal(value, digits = 1) {
  return Number.isFinite(value) ? number(value, digits) : "–";
}

// The point (x, y) of a scene, in pixels from the middle of the first, on the ground: [east, north].
export function ground([a, b, c, d, e, f], x, y) {
  const [column, row] = [x + 0.5, y + 0.5];
  return [a * column + b * row + c, d * column + e * row + f];
}

// Angles need more digits than lengths.
export function groundText(geotransform, x, y) {
  const step = Math.hypot(geotransform[0], geotransform[3]);
  const digits = step < 0.01 ? 6 : step < 1 ? 2 : 1;
  return ground(geotransform, x, y).map((one) => one.toFixed(digits)).join(", ");
}

// Told apart by eyes that see red and green alike, on dark and on bright ground.
const COLOURS = ["#ffb000", "#4db8ff", "#ff6f91", "#3ddc97", "#b18cff", "#ff7a3c", "#f4e04d", "#2ed3d9", "#ff9de2"];
const UNLABELLED = "#d5dae1";

export function colourOf(labels, label) {
  if (!label) return UNLABELLED;
  const place = labels.indexOf(label);
  return place < 0 ? UNLABELLED : COLOURS[place % COLOURS.length];
}

export function withAlpha(hex, alpha) {
  const channels = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${channels.join(", ")}, ${alpha})`;
}
