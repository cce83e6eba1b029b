"use strict";

/*
 * From the ink on the canvas to the input of the network, as `anynet predict` prepares pictures.
 *
 * A picture is {height, width, data}: rows one after another, from 0 (no ink) to 1 (full ink).
 */

const FAINT = 0.25; // ink below this is removed before a character is centred
const STEEPEST = 1; // of the slant of a character, in pixels sideways for each row

/** Return a picture whose pixel (i, j) is value(i, j). */
function pictureOf(height, width, value) {
  const data = new Float64Array(height * width);
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) data[i * width + j] = value(i, j);
  }
  return { height, width, data };
}

const transposed = ({ height, width, data }) =>
  pictureOf(width, height, (i, j) => data[j * width + i]);

/** Return the total of value(pixel, i, j) over all pixels. */
function totalOf({ height, width, data }, value) {
  let total = 0;
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) total += value(data[i * width + j], i, j);
  }
  return total;
}

/** Round as Python does: halves to the even number. */
function rounded(x) {
  const whole = Math.round(x);
  return Math.abs(x % 1) === 0.5 && whole % 2 !== 0 ? whole - 1 : whole;
}

const triangle = (t) => Math.max(0, 1 - Math.abs(t));

/** The cubic of Keys (1981) with a = −1/2. */
function cubic(t) {
  t = Math.abs(t);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
}

/** Scale the width of a picture: bilinear if it shrinks, else bicubic, as Pillow's resize does. */
function withWidth(picture, width, shrinks) {
  if (width === picture.width) return picture;
  const [filter, reach] = shrinks ? [triangle, 1] : [cubic, 2];
  const scale = picture.width / width;
  const stretch = Math.max(scale, 1);
  const sources = Array.from({ length: width }, (_, j) => {
    const centre = (j + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach * stretch + 0.5));
    const end = Math.min(picture.width, Math.trunc(centre + reach * stretch + 0.5));
    const shares = [];
    for (let k = first; k < end; k++) shares.push(filter((k - centre + 0.5) / stretch));
    const total = shares.reduce((sum, share) => sum + share, 0);
    return { first, shares: shares.map((share) => share / total) };
  });
  return pictureOf(picture.height, width, (i, j) => {
    const { first, shares } = sources[j];
    const start = i * picture.width + first;
    return shares.reduce((sum, share, k) => sum + share * picture.data[start + k], 0);
  });
}

/** Scale both sides of a picture by a factor. */
function resized(picture, factor) {
  const [height, width] = [picture.height, picture.width].map((side) =>
    Math.max(1, rounded(side * factor)),
  );
  const scaled = withWidth(picture, width, factor <= 1);
  const turned = transposed(withWidth(transposed(scaled), height, factor <= 1));
  const least = picture.data.reduce((a, b) => Math.min(a, b));
  const most = picture.data.reduce((a, b) => Math.max(a, b));
  turned.data.forEach((value, i) => (turned.data[i] = Math.min(Math.max(value, least), most)));
  return turned;
}

/** Return the part of a picture that holds its ink, null if there is none. */
function cropped({ height, width, data }) {
  let [top, bottom, left, right] = [height, -1, width, -1];
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      if (data[i * width + j] === 0) continue;
      [top, bottom] = [Math.min(top, i), Math.max(bottom, i)];
      [left, right] = [Math.min(left, j), Math.max(right, j)];
    }
  }
  if (bottom < 0) return null;
  const pixel = (i, j) => data[(top + i) * width + left + j];
  return pictureOf(bottom - top + 1, right - left + 1, pixel);
}

/** Return the start of a strip in a room, with its centre in the middle if it fits. */
function startOf(centre, length, room) {
  return Math.min(Math.max(Math.floor(room / 2 - centre + 0.5), 0), room - length);
}

/**
 * Crop to the ink, scale it to the box and place it in the frame, as in MNIST: by its centre of
 * mass if the box leaves a margin, else by the centre of its bounding box.
 */
function centred(ink, { shape: [rows, columns], box }) {
  const crop = cropped(ink);
  if (crop === null) return null;
  const longest = Math.max(crop.height, crop.width);
  const factor = Math.min(box / longest, rows / crop.height, columns / crop.width);
  const small = resized(crop, factor);
  let centre = [small.height / 2, small.width / 2];
  if (box < Math.max(rows, columns)) {
    const mass = totalOf(small, (value) => value);
    centre = [(value, i) => value * i, (value, i, j) => value * j].map(
      (moment) => totalOf(small, moment) / mass,
    );
  }
  const top = startOf(centre[0], small.height, rows);
  const left = startOf(centre[1], small.width, columns);
  return pictureOf(rows, columns, (i, j) => {
    const [row, column] = [i - top, j - left];
    const inside = row >= 0 && row < small.height && column >= 0 && column < small.width;
    return inside ? small.data[row * small.width + column] : 0;
  });
}

/** Return the mean of the ink in each pixel of the frame: size and position stay as drawn. */
function averaged(ink, { shape: [rows, columns] }) {
  if (!ink.data.some((value) => value > 0)) return null;
  const side = ink.height / rows;
  const mean = (i, j) => {
    let total = 0;
    for (let k = 0; k < side * side; k++) {
      const row = i * side + Math.floor(k / side);
      total += ink.data[row * ink.width + j * side + (k % side)];
    }
    return total / (side * side);
  };
  return pictureOf(rows, columns, mean);
}

/** Interpolate each row at positions source(i, j) in it; outside of the row it is 0. */
function shifted({ height, width, data }, source) {
  const at = (i, j) => (j >= 0 && j < width ? data[i * width + j] : 0);
  return pictureOf(height, width, (i, j) => {
    const x = Math.min(Math.max(source(i, j), -1), width);
    const left = Math.floor(x);
    return at(i, left) + (x - left) * (at(i, left + 1) - at(i, left));
  });
}

/** The preprocessing of `anynet train --preprocess` by kind: (picture, step) => picture. */
const STEPS = {
  deslant: (picture) => {
    const mass = totalOf(picture, (value) => value);
    const row = totalOf(picture, (value, i) => value * i) / mass;
    const column = totalOf(picture, (value, i, j) => value * j) / mass;
    const covariance = totalOf(picture, (value, i, j) => value * (i - row) * (j - column));
    const variance = totalOf(picture, (value, i) => value * (i - row) ** 2);
    const slant = variance > 0 ? covariance / variance : 0;
    const limited = Math.min(Math.max(slant, -STEEPEST), STEEPEST);
    return shifted(picture, (i, j) => j + limited * (i - row));
  },
  width: (picture, { width: wanted }) => {
    const { height, width, data } = picture;
    const rows = [...Array(height).keys()];
    const inked = (j) => rows.some((i) => data[i * width + j] > 0);
    const columns = [...Array(width).keys()].filter(inked);
    const [first, last] = [columns[0], columns[columns.length - 1]];
    const stretch = (last - first + 1) / wanted;
    return shifted(picture, (i, j) => (first + last) / 2 + stretch * (j - (width - 1) / 2));
  },
};

/**
 * Return the input of the network for the ink on the canvas, null without ink.
 *
 * Pictures of characters are centred, and all others keep size and position. The values are in the
 * units of the training images, from `paper` (no ink) to `top` (full ink).
 */
function networkInput(ink, image) {
  let picture;
  if (image.strokes) {
    picture = centred({ ...ink, data: ink.data.map((v) => (v < FAINT ? 0 : v)) }, image);
  } else {
    picture = averaged(ink, image);
  }
  if (picture === null) return null;
  const full = image.strokes ? picture.data.reduce((a, b) => Math.max(a, b)) : 1;
  const factor = (image.top - image.paper) / full;
  picture.data = picture.data.map((value) => image.paper + value * factor);
  for (const step of image.steps) picture = STEPS[step.kind](picture, step);
  return picture.data;
}
