"use strict";

/*
 * From the cells of a row of a table to the inputs of the network.
 *
 * Cells are numbers, days since 1970-01-01, 1 and 0 for yes and no, and texts of categories; null
 * is a missing value. The inputs are rounded to float32, as in training.
 */

const BOUND = 3; // of smoothly clipped numbers, in scales
const MOST_SCALES = 1e6;
const YEAR = 365.2425; // days
const WEEK = 7;
const SMALLEST = 1e-7; // probability

/** Return z / √(1 + (z/3)²), which is within (−3, 3). */
function smoothClip(z) {
  return z / Math.sqrt(1 + (z / BOUND) ** 2);
}

/** Return a number centred, scaled and smoothly clipped; 0 for a missing one. */
function standard(cell, { center, scale }) {
  if (cell === null) return 0;
  return smoothClip(Math.min(Math.max((cell - center) / scale, -MOST_SCALES), MOST_SCALES));
}

/** Interpolate the probability of a number between quantiles. */
function probabilityOf(value, quantiles) {
  const steps = Math.max(1, quantiles.length - 1);
  const below = quantiles.filter((each) => each < value).length;
  const upTo = quantiles.filter((each) => each <= value).length;
  if (upTo > below) return (below + upTo - 1) / 2 / steps; // equal quantiles: their mean
  if (below === 0 || below === quantiles.length) return below === 0 ? 0 : (below - 1) / steps;
  const [left, right] = [quantiles[below - 1], quantiles[below]];
  return (below - 1 + (value - left) / (right - left)) / steps;
}

const polynomial = (powers, x) => powers.reduceRight((total, each) => total * x + each, 0);
const ratio = ([above, below], x) => polynomial(above, x) / polynomial(below, x);

/** Return a quantile of the standard normal distribution (Wichura 1988, AS 241, PPND16). */
function normalQuantile(probability, { centre, tail }) {
  const p = Math.min(Math.max(probability, SMALLEST), 1 - SMALLEST);
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) return q * ratio(centre, 0.180625 - q * q);
  const r = Math.sqrt(-Math.log(Math.min(p, 1 - p)));
  return Math.sign(q) * ratio(tail, r - 1.6);
}

const flag = (cell, { indicator }) => (indicator ? [cell === null ? 1 : 0] : []);

/** Return one input for each category, or 1 and −1 in one input. */
function oneHot(cell, { levels, other, indicator, signed }) {
  const flagsMissing = indicator && !signed;
  const inputs = new Array(levels.length + other + flagsMissing).fill(0);
  let place = cell === null ? -1 : levels.indexOf(cell);
  if (place < 0 && cell !== null && other) place = levels.length;
  if (cell === null && flagsMissing) place = inputs.length - 1;
  if (place >= 0) inputs[place] = 1;
  const isContrast = signed && levels.length === 2 && !other;
  return isContrast ? [inputs[0] - inputs[1]] : inputs;
}

/** The encoders by kind: (cell, column) => inputs. */
const ENCODERS = {
  plain: (cell, { typical }) => [cell ?? typical],
  number: (cell, column) => [standard(cell, column), ...flag(cell, column)],
  quantile: (cell, column) => {
    if (cell === null) return [0, ...flag(cell, column)];
    return [normalQuantile(probabilityOf(cell, column.quantiles), column), ...flag(cell, column)];
  },
  date: (cell, column) => {
    const angles = [YEAR, WEEK].map((period) => (2 * Math.PI * cell) / period);
    const circles = angles.flatMap((angle) => [Math.sin(angle), Math.cos(angle)]);
    const positions = cell === null ? [0, 0, 0, 0] : circles;
    return [standard(cell, column), ...positions, ...flag(cell, column)];
  },
  boolean: (cell, column) => {
    if (column.signed) return [cell === null ? 0 : 2 * cell - 1];
    return [cell ?? column.fill, ...flag(cell, column)];
  },
  category: oneHot,
  code: (cell, { levels }) => [cell === null ? 0 : levels.indexOf(cell) + 1],
};

/** Return the inputs of the network for the cells of a row. */
function encodeRow({ columns, order, centers, factors, scaled }, cells) {
  const encoded = columns.flatMap((column, i) => ENCODERS[column.kind](cells[i], column));
  const x = order.map((place) => Math.fround(encoded[place]));
  factors.forEach((factor, i) => {
    x[scaled + i] = Math.fround(smoothClip((x[scaled + i] - centers[i]) * factor));
  });
  return x;
}

/** The typical cell of a column: see the text of the page. */
function typicalCell(column) {
  if (column.kind === "plain") return column.typical;
  if (column.kind === "quantile") return column.quantiles[column.quantiles.length >> 1];
  if (column.kind === "boolean") return column.fill;
  if (column.kind === "date") return Math.floor(column.center);
  return column.center ?? (column.frequent || null);
}
